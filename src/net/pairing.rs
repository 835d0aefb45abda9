//! Order between two ends that live in one process.
//!
//! A program that is client and server at once may look at the server's list as soon as the
//! client's `connect()` is fulfilled. Across two processes nobody can promise what it finds there;
//! within one, the JavaScript package's single thread made it likely, and programs rely on it.
//! Here it is certain: while a client connects to a listener of the same process, both hold one
//! lock, so the listener reports the connection before the client does.

use super::listener::Listener;
use super::stream::{Address, reaches};
use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners(Vec::new()));

/// The listeners of this process.
pub(super) struct Listeners(Vec<Weak<Listener>>);

/// Keeps every listener and every connecting client of the process waiting while it is held.
pub(super) fn lock() -> MutexGuard<'static, Listeners> {
    LISTENERS.lock()
}

impl Listeners {
    pub(super) fn add(&mut self, listener: &Arc<Listener>) {
        self.0.retain(|known| known.strong_count() > 0);
        self.0.push(Arc::downgrade(listener));
    }

    /// The listener that a connection to `target` reaches, if it is in this process.
    pub(super) fn find(&self, target: &Address) -> Option<Arc<Listener>> {
        self.0.iter().filter_map(Weak::upgrade).find(|listener| {
            match (target, listener.address()) {
                (Address::Inet(target), Address::Inet(bound)) => reaches(target, bound),
                (Address::Unix(target), Address::Unix(bound)) => {
                    target.is_some() && target == bound
                }
                _ => false,
            }
        })
    }
}
