//! Flow control between a reader and JavaScript: a byte count and a mark at which the reader stops.

use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

/// Counts bytes that a reader adds and JavaScript removes. The reader stops when the count reaches
/// a mark; the removing side learns that it must resume the reader once the count is down to half
/// of it.
///
/// The reader announces that it stops and then reads the count again; the removing side lowers the
/// count and then reads the announcement. Each writes one variable and reads the other's. The two
/// `SeqCst` fences ensure that at least one of them sees the other's write; without them both could
/// read the old value, and the reader would never resume.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    amount: AtomicUsize,
    stopped: AtomicBool,
}

impl ReceiveWindow {
    pub(crate) fn new() -> Self {
        Self {
            amount: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Adds `amount` bytes.
    pub(crate) fn add(&self, amount: usize) {
        self.amount.fetch_add(amount, Ordering::AcqRel);
    }

    /// Removes `amount` bytes that were added before. Returns whether the caller must resume a
    /// stopped reader.
    #[must_use]
    pub(crate) fn remove(&self, amount: usize, mark: usize) -> bool {
        let left = self.amount.fetch_sub(amount, Ordering::AcqRel) - amount;
        fence(Ordering::SeqCst);
        // Load before swapping: an unconditional write could overwrite an announcement made right
        // now.
        left <= mark / 2 && self.is_stopped() && self.stopped.swap(false, Ordering::AcqRel)
    }

    /// Whether the reader must stop. After `true`, a later [`remove`](Self::remove) returns `true`.
    pub(crate) fn must_stop(&self, mark: usize) -> bool {
        if self.amount.load(Ordering::Acquire) < mark {
            return false;
        }
        self.stopped.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        // All bytes may have been removed before the announcement was visible: check again.
        self.amount.load(Ordering::Acquire) > mark / 2
    }

    /// Whether a reader stopped and has not been resumed since.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The bytes that were added and not removed yet.
    pub(crate) fn amount(&self) -> usize {
        self.amount.load(Ordering::Acquire)
    }
}
