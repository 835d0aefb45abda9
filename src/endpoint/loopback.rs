//! Order between two ends that live in one JavaScript environment.
//!
//! A program that is client and server at once may look at the server's list as soon as the
//! client's `connect()` is fulfilled. Across two processes or two workers nobody can promise what it
//! finds there; within one environment, the JavaScript package's single thread made it likely, and
//! programs rely on it. Here it is certain: a client that connects to a listener of its own
//! environment holds the listener's [`AcceptGate`] from `connect()` until it has accepted the other end
//! itself and both were reported, the listener's end first.
//!
//! Nothing here is global, and no destructor takes a lock: [`ListenerRegistry`] owns its listeners until they
//! are closed, and hands them out as references that are dropped when no lock is held.

use crate::sync::Mutex;
use std::sync::Arc;

/// A listening socket, until it is closed.
///
/// A connection is taken out of the kernel's queue, and reported, while the door is held. So the
/// reports of one listener have the order of its queue, on whatever threads it is served, and a socket
/// that was taken out of its door is in use nowhere else.
pub(crate) struct AcceptGate<S>(Mutex<Option<S>>);

impl<S> AcceptGate<S> {
    /// Without a socket it is closed.
    pub(crate) fn new(socket: Option<S>) -> Self {
        Self(Mutex::new(socket))
    }

    /// Runs `f` with the socket, or `None` if it is closed, while everybody else waits.
    pub(crate) fn hold<R>(&self, f: impl FnOnce(Option<&S>) -> R) -> R {
        f(self.0.lock().as_ref())
    }

    /// Takes the socket out for good: the caller is the only one who has it.
    pub(crate) fn close(&self) -> Option<S> {
        self.0.lock().take()
    }
}

/// The listeners of one environment that are open.
pub struct ListenerRegistry<L>(Mutex<Registry<L>>);

struct Registry<L> {
    open: Vec<Arc<L>>,
    closed: bool,
}

impl<L> std::fmt::Debug for ListenerRegistry<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerRegistry").finish_non_exhaustive()
    }
}

impl<L> Default for ListenerRegistry<L> {
    fn default() -> Self {
        Self(Mutex::new(Registry {
            open: Vec::new(),
            closed: false,
        }))
    }
}

impl<L> ListenerRegistry<L> {
    /// Owns `listener` until it is removed. False: the environment is ending, and takes no more.
    pub(crate) fn add(&self, listener: &Arc<L>) -> bool {
        let mut registry = self.0.lock();
        if !registry.closed {
            registry.open.push(Arc::clone(listener));
        }
        !registry.closed
    }

    /// Gives `listener` up.
    pub(crate) fn remove(&self, listener: &L) {
        let removed = {
            let open = &mut self.0.lock().open;
            let place = open
                .iter()
                .position(|known| std::ptr::eq(Arc::as_ptr(known), listener));
            place.map(|place| open.swap_remove(place))
        };
        drop(removed);
    }

    /// The first one that `wanted` answers true for.
    pub(crate) fn find(&self, mut wanted: impl FnMut(&L) -> bool) -> Option<Arc<L>> {
        let registry = self.0.lock();
        registry
            .open
            .iter()
            .find(|listener| wanted(listener))
            .map(Arc::clone)
    }

    /// Gives all of them up, and takes no more: the caller closes them.
    pub(crate) fn close(&self) -> Vec<Arc<L>> {
        let mut registry = self.0.lock();
        registry.closed = true;
        std::mem::take(&mut registry.open)
    }
}
