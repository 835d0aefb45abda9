//! The end of something that many connections do.

use std::sync::Arc;

/// Something that happens when the last reference to it is dropped. A broadcast puts one into every
/// send queue, and is done when all of them are written or discarded.
pub(crate) type CompletionGuard = Arc<dyn Send + Sync>;
