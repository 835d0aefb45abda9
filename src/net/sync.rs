//! The locks and atomics of what is model-checked.
//!
//! With `--cfg sockhop_loom` these are loom's, which tries every interleaving and every value that a
//! weak memory model lets a thread read: `npm run model`. Otherwise they are the real ones.

#[cfg(not(sockhop_loom))]
pub(super) use parking_lot::Mutex;
#[cfg(not(sockhop_loom))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

#[cfg(sockhop_loom)]
pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
#[cfg(sockhop_loom)]
pub(super) use model::Mutex;

#[cfg(sockhop_loom)]
mod model {
    use loom::sync::MutexGuard;

    /// loom's mutex with the interface of `parking_lot`'s, which has no poisoning.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics while it holds it")
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self(loom::sync::Mutex::new(T::default()))
        }
    }
}
