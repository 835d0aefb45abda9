//! The completion of an operation in which many connections take part.

use std::sync::Arc;

/// An action that runs when its last reference is dropped. A broadcast puts a reference into every
/// send queue, and is done when all of them are written or discarded.
pub(crate) type CompletionGuard = Arc<dyn Send + Sync>;
