//! How much is on its way from a reader to JavaScript, and whether the reader waits.

use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

/// Counts bytes that one side adds and another removes. The adding side stops at a mark; the removing
/// side learns that it must be woken when no more than half of that is left.
///
/// The adding side says that it stops and then looks at the amount once more; the removing side takes
/// from the amount and then looks whether anybody stopped. Each writes one variable and reads the
/// other's, so without the fences both could read what was there before, and the reader would sleep for
/// ever.
#[derive(Debug)]
pub(crate) struct Gauge {
    amount: AtomicUsize,
    stopped: AtomicBool,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        Self {
            amount: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Something was added.
    pub(crate) fn add(&self, amount: usize) {
        self.amount.fetch_add(amount, Ordering::AcqRel);
    }

    /// Something that was added before is gone. Answers whether whoever stopped must be woken.
    #[must_use]
    pub(crate) fn remove(&self, amount: usize, mark: usize) -> bool {
        let left = self.amount.fetch_sub(amount, Ordering::AcqRel) - amount;
        fence(Ordering::SeqCst);
        // A load first: what is not set is not written, and so hides nothing that is set just now.
        left <= mark / 2 && self.is_stopped() && self.stopped.swap(false, Ordering::AcqRel)
    }

    /// Whether the adding side must stop. If it does, a [`remove`](Self::remove) will answer true.
    pub(crate) fn must_stop(&self, mark: usize) -> bool {
        if self.amount.load(Ordering::Acquire) < mark {
            return false;
        }
        self.stopped.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        // It may all have been removed in between, and nobody found stopped.
        self.amount.load(Ordering::Acquire) > mark / 2
    }

    /// Whether somebody stopped, and has not been woken since.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// What was added and is not removed.
    pub(crate) fn amount(&self) -> usize {
        self.amount.load(Ordering::Acquire)
    }
}
