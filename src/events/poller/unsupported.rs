//! The poller of systems without epoll: there is none, and the runtime reads every connection.

use crate::connection::Connection;
use crate::endpoint::listener::Listener;
use crate::transport::Stream;
use socket2::Socket;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

/// Never made.
#[derive(Debug)]
pub enum Poller {}

impl Poller {
    /// Always refuses.
    pub fn new() -> io::Result<Arc<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// See the poller of Linux.
    pub fn fd(&self) -> RawFd {
        match *self {}
    }

    /// See the poller of Linux.
    pub fn turn(&self) {
        match *self {}
    }

    pub(crate) fn add(&self, _: &Arc<Connection>, _: &Stream) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove(&self, _: u64, _: &Stream) {
        match *self {}
    }

    pub(crate) fn add_listener(&self, _: &Arc<Listener>, _: &Socket) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove_listener(&self, _: u64, _: &Socket) {
        match *self {}
    }
}
