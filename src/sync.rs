//! The locks and atomics of the code that is model-checked.
//!
//! With `--cfg sockhop_loom` these are loom's, which tries every interleaving and every value that
//! a weak memory model lets a thread read (`npm run model`). Otherwise they are the real ones.

#[cfg(not(sockhop_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(sockhop_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(sockhop_loom))]
pub(crate) use tokio::sync::Notify;

#[cfg(sockhop_loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(sockhop_loom)]
pub(crate) use model::{Mutex, Notify};

#[cfg(sockhop_loom)]
mod model {
    use loom::sync::MutexGuard;

    /// loom's mutex with the interface of `parking_lot`'s, which has no poisoning.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics while it holds it")
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self(loom::sync::Mutex::new(T::default()))
        }
    }

    /// loom's notification with the interface of tokio's, as far as it is used.
    pub(crate) struct Notify(loom::sync::Notify);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Notify::new())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify();
        }

        /// Blocks: there are no tasks in a model.
        pub(crate) fn wait(&self) {
            self.0.wait();
        }

        #[allow(clippy::unused_async)]
        pub(crate) async fn notified(&self) {
            self.0.wait();
        }
    }
}
