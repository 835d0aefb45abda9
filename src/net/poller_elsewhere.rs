//! The poller of systems without epoll: there is none, and the runtime reads every connection.

use super::connection::Connection;
use super::listener::Listener;
use super::stream::Stream;
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

    pub(super) fn add(&self, _: &Arc<Connection>, _: &Stream) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn remove(&self, _: u64, _: &Stream) {
        match *self {}
    }

    pub(super) fn add_listener(&self, _: &Arc<Listener>, _: &Socket) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn remove_listener(&self, _: u64, _: &Socket) {
        match *self {}
    }
}
