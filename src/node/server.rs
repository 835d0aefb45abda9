//! `SockhopServer`, and the listener it has while it listens.

use super::client::EndpointInit;
use super::connection::{EndAddress, SockhopSession, end_address};
use super::options::{Settings, id_of, size};
use super::queue::Mailbox;
use super::strings as text;
use crate::net;
use napi::bindgen_prelude::{Either, Error, Result, Status, Unknown};
use napi_derive::napi;
use parking_lot::Mutex;
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::sync::Arc;

/// The native part of a server. `lib/SockhopServer.js` has one.
#[napi]
pub struct SockhopServer {
    inner: Arc<net::Server>,
    settings: Arc<net::Settings>,
    mailbox: Arc<net::Mailbox>,
}

/// What the system answered instead of a listener.
#[napi(object)]
pub struct ListenFailure {
    /// The positive error number.
    pub errno: i32,
    /// The call that failed.
    pub syscall: String,
}

#[napi]
impl SockhopServer {
    /// A server that does not listen.
    #[napi(constructor)]
    pub fn new(mailbox: &Mailbox, settings: Settings) -> Result<Self> {
        Ok(Self {
            inner: net::Server::new(Arc::clone(&mailbox.shared)),
            settings: settings.into_net()?,
            mailbox: Arc::clone(&mailbox.shared),
        })
    }

    /// Binds and accepts; events of the listener carry `id`.
    #[napi]
    pub fn listen_at(
        &self,
        id: f64,
        endpoint: EndpointInit,
        backlog: i32,
    ) -> Result<Either<Listener, ListenFailure>> {
        let address = endpoint.into_net()?;
        Ok(listening(net::Listener::listen(
            id_of(id),
            &address,
            backlog,
            Arc::clone(&self.settings),
            Arc::clone(&self.mailbox),
        )))
    }

    /// A listener whose connections are accepted elsewhere: `adopt` takes them.
    #[napi]
    pub fn listen_elsewhere(&self, id: f64) -> Either<Listener, ListenFailure> {
        listening(net::Listener::elsewhere(
            id_of(id),
            Arc::clone(&self.settings),
            Arc::clone(&self.mailbox),
        ))
    }

    /// Adds a connection whose session has started.
    #[napi]
    pub fn add(&self, session: &SockhopSession) {
        self.inner.add(&session.inner);
    }

    /// Removes a connection.
    #[napi]
    pub fn remove(&self, id: f64) {
        self.inner.remove(id_of(id));
    }

    /// Sends a text of `length` UTF-16 units to every connection; `BROADCAST_DONE` with `id`
    /// follows.
    #[napi]
    pub fn broadcast(&self, text: Unknown<'_>, length: u32, id: f64) -> Result<()> {
        text::with_utf8(&text, length, |bytes| {
            let kept = if text::is_filled(bytes) {
                std::mem::take(bytes)
            } else {
                bytes.clone()
            };
            self.inner.broadcast(kept, id_of(id));
        })
    }

    /// Pings, and judges by the pings before. JavaScript sets the beat: a program that is blocked
    /// sends no pings, and declares nobody dead for answers it had no time to hear.
    #[napi]
    pub fn beat(&self) {
        self.inner.beat();
    }

    /// Forgets the pings sent so far.
    #[napi]
    pub fn clear_pings(&self) {
        self.inner.clear_pings();
    }
}

fn listening(
    result: std::result::Result<Arc<net::Listener>, net::SystemError>,
) -> Either<Listener, ListenFailure> {
    match result {
        Ok(listener) => Either::A(Listener {
            inner: Mutex::new(Some(listener)),
        }),
        Err(error) => Either::B(ListenFailure {
            errno: error.errno,
            syscall: error.syscall.to_owned(),
        }),
    }
}

fn unusable(why: &str) -> Error {
    Error::new(Status::GenericFailure, format!("descriptor: {why}"))
}

/// A listening socket.
#[napi]
pub struct Listener {
    inner: Mutex<Option<Arc<net::Listener>>>,
}

#[napi]
impl Listener {
    /// Where it listens.
    #[napi]
    pub fn address(&self) -> Option<EndAddress> {
        self.inner
            .lock()
            .as_ref()
            .and_then(|listener| end_address(listener.address()))
    }

    /// Takes over a connection that was accepted elsewhere, by a descriptor of its own: the given one
    /// stays with the caller. Nothing if there are too many connections, or this is closed.
    #[napi]
    pub fn adopt(&self, fd: i32) -> Result<Option<SockhopSession>> {
        let Some(listener) = self.inner.lock().as_ref().map(Arc::clone) else {
            return Ok(None);
        };
        if fd < 0 {
            return Err(unusable("it is none"));
        }
        // SAFETY: it is only asked for a duplicate, at once; the caller has it open meanwhile, and if
        // not, the system refuses.
        let own = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        let adopted = own.and_then(|own| listener.adopt(own.into()));
        let adopted = adopted.map_err(|error| unusable(&error.to_string()))?;
        Ok(adopted.map(|inner| SockhopSession { inner }))
    }

    /// Another descriptor of the listening socket, for the caller to close; -1 if there is none.
    #[napi]
    pub fn duplicate(&self) -> i32 {
        let own = self.inner.lock().as_ref().and_then(|it| it.duplicate());
        own.map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Connections beyond this many are turned away.
    #[napi]
    pub fn set_max_connections(&self, max: f64) {
        if let Some(listener) = self.inner.lock().as_ref() {
            listener.set_max_connections(size(max));
        }
    }

    /// Connections of this listener that are open.
    #[napi]
    pub fn connection_count(&self) -> u32 {
        self.inner.lock().as_ref().map_or(0, |listener| {
            u32::try_from(listener.connection_count()).unwrap_or(u32::MAX)
        })
    }

    /// Frees the address.
    #[napi]
    pub fn close(&self) {
        let listener = self.inner.lock().take();
        if let Some(listener) = listener {
            listener.close();
        }
    }
}
