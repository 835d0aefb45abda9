//! Limits the descriptors that the connections of one listener have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// The descriptors beyond `max_connections` that new connections may get while closed ones are
/// still read.
pub(crate) const SPARE_DESCRIPTORS: usize = 16;

/// The descriptors of one listener's connections. Every stream that it accepted holds a reference
/// until its descriptor is closed.
#[derive(Debug)]
pub(crate) struct DescriptorQuota {
    /// `max_connections`.
    max: AtomicUsize,
    /// Notifies a closed connection that is still read: a new connection needs its descriptor.
    pub(crate) needed: Notify,
}

impl DescriptorQuota {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            max: AtomicUsize::new(usize::MAX),
            needed: Notify::new(),
        })
    }

    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether there is no descriptor for another connection in addition to `open` ones. If closed
    /// connections take descriptors, one of them is asked to close its own.
    pub(crate) fn is_exhausted(self: &Arc<Self>, open: usize) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        if open >= max {
            return true;
        }
        let held = Arc::strong_count(self) - 1;
        if held >= max {
            self.needed.notify_one();
        }
        held >= max.saturating_add(SPARE_DESCRIPTORS)
    }

    /// Whether there are at least as many descriptors as there may be connections.
    pub(crate) fn is_overdrawn(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > self.max.load(Ordering::Relaxed)
    }
}
