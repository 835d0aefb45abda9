//! Orders the reports of two ends that live in one JavaScript environment.
//!
//! A program that is client and server at once may look at the server's sessions as soon as the
//! client's `connect()` is fulfilled. With sockhop 1.8.4 the server's end exists then, because
//! everything runs on one thread, and programs rely on that. Here it is guaranteed: a client that
//! connects to a listener of its own environment holds the listener's [`AcceptGate`] from
//! `connect()` until it has accepted the other end itself. Then both ends are reported, the
//! listener's first. Between processes or workers there is no such order.
//!
//! Nothing here is global, and no destructor takes a lock: [`ListenerRegistry`] owns its listeners
//! until they are closed. References that it hands out are dropped when no lock is held.

use crate::sync::Mutex;
use std::sync::Arc;

/// A listening socket, until it is closed.
///
/// Connections are accepted and reported while the gate is held. So the reports of one listener
/// have the order of the kernel's queue, whichever threads accept. A socket that was taken out of
/// its gate is not in use elsewhere.
pub(crate) struct AcceptGate<S>(Mutex<Option<S>>);

impl<S> AcceptGate<S> {
    /// A gate without a socket is closed.
    pub(crate) fn new(socket: Option<S>) -> Self {
        Self(Mutex::new(socket))
    }

    /// Calls `f` with the socket, or `None` if it is closed, while no other thread can hold the
    /// gate.
    pub(crate) fn hold<R>(&self, f: impl FnOnce(Option<&S>) -> R) -> R {
        f(self.0.lock().as_ref())
    }

    /// Takes the socket out permanently. The caller has the only reference.
    pub(crate) fn close(&self) -> Option<S> {
        self.0.lock().take()
    }
}

/// The open listeners of one environment.
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
    /// Owns `listener` until it is removed. False: the environment ends, and takes no more
    /// listeners.
    pub(crate) fn add(&self, listener: &Arc<L>) -> bool {
        let mut registry = self.0.lock();
        if !registry.closed {
            registry.open.push(Arc::clone(listener));
        }
        !registry.closed
    }

    /// Removes `listener`.
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

    /// The first listener for which `wanted` returns true.
    pub(crate) fn find(&self, mut wanted: impl FnMut(&L) -> bool) -> Option<Arc<L>> {
        let registry = self.0.lock();
        registry
            .open
            .iter()
            .find(|listener| wanted(listener))
            .map(Arc::clone)
    }

    /// Removes all listeners, which the caller closes, and takes no more.
    pub(crate) fn close(&self) -> Vec<Arc<L>> {
        let mut registry = self.0.lock();
        registry.closed = true;
        std::mem::take(&mut registry.open)
    }
}
