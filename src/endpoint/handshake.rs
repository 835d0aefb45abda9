//! TLS handshakes, on the runtime.

use super::tls_acceptor::TlsAcceptor;
use crate::connection::completion::CompletionGuard;
use crate::connection::config::Config;
use crate::connection::{Connection, Environment, Event};
use crate::events::error::HandshakeError;
use crate::events::runtime;
use crate::trace;
use crate::transport::error::EIO;
use crate::transport::tls::HandshakeState;
use crate::transport::{Address, Stream, StreamWatch};
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::Interest;
use tokio::sync::watch::Sender;

/// Completes the handshake of a stream that the runtime watches.
pub(super) async fn complete(stream: &Stream, watch: &StreamWatch) -> io::Result<()> {
    let mut step = stream.handshake()?;
    loop {
        let mut ready = match step {
            HandshakeState::Done => return Ok(()),
            HandshakeState::WantsRead => watch.ready(Interest::READABLE).await?,
            HandshakeState::WantsWrite => watch.ready(Interest::WRITABLE).await?,
        };
        let stopped_at = std::mem::replace(&mut step, stream.handshake()?);
        if step == stopped_at {
            ready.clear();
        }
    }
}

/// Registers a stream for its handshake, with the runtime in whose context the caller is.
pub(super) fn register(stream: &Arc<Stream>) -> io::Result<StreamWatch> {
    StreamWatch::new(Arc::clone(stream), Interest::READABLE | Interest::WRITABLE)
}

/// A connection that was accepted elsewhere, and given to
/// [`Listener::adopt`](super::Listener::adopt).
#[derive(Debug)]
pub enum Adopted {
    /// It is open.
    Open(Arc<Connection>),
    /// It is being secured. [`Event::Accepted`] or [`Event::HandshakeFailed`] follows.
    Securing,
    /// It was closed, because `max_connections` connections are open.
    Refused,
}

/// TLS of one listener.
pub(super) struct ListenerTls {
    acceptor: Arc<TlsAcceptor>,
    /// Ends the handshakes when it is dropped.
    closing: Mutex<Option<Sender<()>>>,
}

impl ListenerTls {
    pub(super) fn new(acceptor: Arc<TlsAcceptor>) -> Self {
        Self {
            acceptor,
            closing: Mutex::new(Some(Sender::new(()))),
        }
    }

    /// Begins a handshake. An [`Event::Accepted`] or an [`Event::HandshakeFailed`] follows, unless
    /// the listener closes.
    pub(super) fn begin(&self, handshake: AcceptedHandshake, stream: Stream) -> io::Result<()> {
        let closing = self.closing.lock().as_ref().map(Sender::subscribe);
        let Some(mut closing) = closing else {
            return Ok(());
        };
        let acceptor = Arc::clone(&self.acceptor);
        let running = acceptor.begun();
        let task = runtime::spawn(async move {
            tokio::select! {
                () = handshake.run(&acceptor, stream) => {}
                // Nothing is ever sent, so this is the end of the listener.
                _ = closing.changed() => {}
            }
            drop(running);
        });
        task.map(drop)
    }

    /// Abandons the handshakes.
    pub(super) fn close(&self) {
        drop(self.closing.lock().take());
    }
}

/// A connection that a listener has accepted, until its handshake is over.
pub(super) struct AcceptedHandshake {
    /// The id of the listener.
    pub(super) listener: u64,
    pub(super) config: Arc<Config>,
    pub(super) environment: Arc<Environment>,
    /// Counts the connection as open at its listener.
    pub(super) permit: CompletionGuard,
    /// Counts the connections that the listener has reported.
    pub(super) accepted: Arc<AtomicU64>,
}

impl AcceptedHandshake {
    async fn run(self, acceptor: &TlsAcceptor, stream: Stream) {
        let ends = ends(&stream);
        let limited = tokio::time::timeout(acceptor.timeout, secure(acceptor, stream));
        match limited.await.unwrap_or(Err(HandshakeError::TimedOut)) {
            Ok(stream) => self.accepted(stream),
            Err(error) => {
                trace::event!(
                    DEBUG,
                    listener = self.listener,
                    ?ends,
                    ?error,
                    "handshake failed"
                );
                if acceptor.note_failure(&error) {
                    self.environment.post(Event::HandshakeFailed {
                        listener: self.listener,
                        ends,
                        error,
                    });
                }
            }
        }
    }

    fn accepted(self, stream: Stream) {
        let connection = Connection::open(
            stream,
            self.config,
            Arc::clone(&self.environment),
            Some(self.permit),
        );
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.environment.post(Event::Accepted {
            listener: self.listener,
            connection,
        });
    }
}

/// Secures a stream of a client.
async fn secure(acceptor: &TlsAcceptor, stream: Stream) -> Result<Stream, HandshakeError> {
    let stream = Arc::new(stream);
    // A client that sends nothing costs a descriptor, but takes no turn.
    register(&stream)?.ready(Interest::READABLE).await?;
    let stream = Arc::into_inner(stream).ok_or(HandshakeError::Interrupted(EIO))?;
    let _turn = acceptor.turn().await;
    let stream = Arc::new(stream.into_secure(&acceptor.config())?);
    let watch = register(&stream)?;
    tokio::select! {
        result = complete(&stream, &watch) => result?,
        () = acceptor.give_way() => return Err(HandshakeError::TimedOut),
    }
    drop(watch);
    // The reference of the watch was dropped, and there is no other.
    Arc::into_inner(stream).ok_or(HandshakeError::Interrupted(EIO))
}

/// The local and the remote address of a TCP connection.
fn ends(stream: &Stream) -> Option<Box<(SocketAddr, SocketAddr)>> {
    match (stream.local_address(), stream.peer_address()) {
        (Some(Address::Inet(local)), Some(Address::Inet(peer))) => Some(Box::new((local, peer))),
        _ => None,
    }
}
