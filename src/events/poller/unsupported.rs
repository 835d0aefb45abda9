//! The poller of systems without epoll: there is none, and the runtime reads all connections.

use super::source::PolledListener;
use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::os::fd::RawFd;
use std::sync::Arc;

/// Cannot be constructed.
#[derive(Debug)]
pub struct Poller<C> {
    never: Infallible,
    connections: PhantomData<fn() -> C>,
}

impl<C> Poller<C> {
    /// Always fails.
    pub fn new() -> io::Result<Arc<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// See the poller for Linux.
    #[cfg(unix)]
    pub fn fd(&self) -> RawFd {
        match self.never {}
    }

    /// See the poller for Linux.
    pub fn turn(&self) {
        match self.never {}
    }

    pub(crate) fn add<S>(&self, _: &Arc<C>, _: S) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn remove<S>(&self, _: u64, _: S) {
        match self.never {}
    }

    pub(crate) fn add_listener<L: PolledListener, S>(&self, _: &Arc<L>, _: S) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn remove_listener<S>(&self, _: u64, _: S) {
        match self.never {}
    }
}
