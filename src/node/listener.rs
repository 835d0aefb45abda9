//! `Listener`: the listening socket of a server.

use super::address::EndAddress;
use super::connection::Connection;
use super::descriptors;
use super::values::size;
use crate::endpoint::{self, handshake::Adopted};
use crate::transport;
use napi::bindgen_prelude::{Either, Error, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;
use std::sync::Arc;

/// Why the system refused a listener.
#[napi(object)]
pub struct ListenFailure {
    /// The positive error number.
    pub errno: i32,
    /// The system call that failed.
    pub syscall: String,
}

/// How to listen at an address.
#[napi(object)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted.
    pub backlog: i32,
    /// The permissions of the file of a Unix socket, instead of those that the umask leaves.
    pub mode: Option<u32>,
    /// Permissions that are added to them.
    pub added_mode: u32,
    /// Whether the file of a Unix socket is replaced if no server answers on it.
    pub unlink_stale: bool,
    /// Whether an IPv6 address takes no IPv4 connections.
    pub ipv6_only: bool,
    /// Whether other sockets may listen at the same address.
    pub reuse_port: bool,
}

impl From<ListenOptions> for transport::ListenOptions {
    fn from(options: ListenOptions) -> Self {
        Self {
            backlog: options.backlog,
            mode: transport::FileMode {
                exact: options.mode,
                added: options.added_mode,
            },
            unlink_stale: options.unlink_stale,
            ipv6_only: options.ipv6_only,
            reuse_port: options.reuse_port,
        }
    }
}

fn unusable(why: &str) -> Error {
    Error::new(Status::GenericFailure, format!("descriptor: {why}"))
}

/// A listening socket.
#[napi]
pub struct Listener {
    /// `None` after `close`.
    inner: Mutex<Option<Arc<endpoint::Listener>>>,
}

impl Listener {
    pub(super) fn or_failure(
        result: std::result::Result<Arc<endpoint::Listener>, transport::SystemError>,
    ) -> Either<Self, ListenFailure> {
        match result {
            Ok(listener) => Either::A(Self {
                inner: Mutex::new(Some(listener)),
            }),
            Err(error) => Either::B(ListenFailure {
                errno: error.errno,
                syscall: error.syscall.to_owned(),
            }),
        }
    }
}

#[napi]
impl Listener {
    /// Where it listens.
    #[napi(catch_unwind)]
    pub fn address(&self) -> Option<EndAddress> {
        self.inner
            .lock()
            .as_ref()
            .and_then(|listener| EndAddress::of(listener.address()))
    }

    /// Makes a connection from a socket that was accepted elsewhere. It uses a duplicate of the
    /// descriptor, and the caller keeps `fd`. False if there are too many connections, or the
    /// listener is closed; true if an event follows, because the listener secures connections.
    #[napi(catch_unwind)]
    pub fn adopt(&self, fd: i32) -> Result<Either<Connection, bool>> {
        let Some(listener) = self.inner.lock().as_ref().map(Arc::clone) else {
            return Ok(Either::B(false));
        };
        let adopted = descriptors::adopt(&listener, fd);
        let adopted = adopted.map_err(|error| unusable(&error.to_string()))?;
        Ok(match adopted {
            Adopted::Open(connection) => Either::A(Connection::from(connection)),
            Adopted::Securing => Either::B(true),
            Adopted::Refused => Either::B(false),
        })
    }

    /// A duplicate of the descriptor, which the caller closes; -1 if there is none.
    #[napi(catch_unwind)]
    pub fn duplicate(&self) -> i32 {
        let listener = self.inner.lock();
        listener
            .as_ref()
            .map_or(-1, |it| descriptors::of_listener(it))
    }

    /// Connections above this number are closed at once.
    #[napi(catch_unwind)]
    pub fn set_max_connections(&self, max: f64) {
        if let Some(listener) = self.inner.lock().as_ref() {
            listener.set_max_connections(size(max));
        }
    }

    /// Accepts the connections that wait in the kernel, and frees the address. Returns how many
    /// connections were accepted in all.
    #[napi(catch_unwind)]
    #[allow(clippy::cast_precision_loss)] // below 2^53
    pub fn close_after_accepting(&self) -> f64 {
        let listener = self.inner.lock().take();
        listener.map_or(0.0, |listener| listener.close_after_accepting() as f64)
    }

    /// Frees the address.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let listener = self.inner.lock().take();
        if let Some(listener) = listener {
            listener.close();
        }
    }
}
