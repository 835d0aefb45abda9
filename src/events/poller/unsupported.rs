//! The poller of systems without epoll: there is none, and the runtime reads all connections.

use super::source::PolledListener;
use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, RawFd};
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
    pub fn fd(&self) -> RawFd {
        match self.never {}
    }

    /// See the poller for Linux.
    pub fn turn(&self) {
        match self.never {}
    }

    pub(crate) fn add(&self, _: &Arc<C>, _: impl AsFd) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn remove(&self, _: u64, _: impl AsFd) {
        match self.never {}
    }

    pub(crate) fn add_listener<L: PolledListener>(
        &self,
        _: &Arc<L>,
        _: impl AsFd,
    ) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn remove_listener(&self, _: u64, _: impl AsFd) {
        match self.never {}
    }
}
