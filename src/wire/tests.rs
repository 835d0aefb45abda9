//! Tests across the layer: whole streams in every chunking.
