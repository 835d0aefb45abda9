//! One secured connection: rustls between plaintext and a socket.

use super::chain_verifier::Untrusted;
use super::client_trust::{ClientTrust, take_refused};
use super::config::ClientConfig;
use super::error::TlsError;
use super::server_config::ServerConfig;
use super::trust_store::TrustStore;
use crate::transport::socket::READ_SIZE;
use crate::transport::system::Link;
use parking_lot::Mutex;
use rustls::client::ClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::ServerConnection;
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// How many records without plaintext are read in a row before other connections get their turn.
const MAX_EMPTY_RECORDS: usize = 16;

thread_local! {
    /// A session borrows this buffer while it has records to decrypt, and owns none meanwhile.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The result of a handshake.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// The certificates that the peer sent, its own first; in DER.
    pub certificates: Vec<Vec<u8>>,
    /// Why they are not trusted; `None` if they are, or if a server asks clients for none.
    pub untrusted: Option<Untrusted>,
    /// Whether the version is TLS 1.3, and not 1.2.
    pub tls13: bool,
    /// The number of the cipher suite.
    pub cipher: u16,
    /// The protocol that the server chose (ALPN).
    pub protocol: Option<Vec<u8>>,
    /// On a server: the name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// Whether the session of an earlier connection was resumed.
    pub resumed: bool,
}

/// The event that a handshake waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeState {
    /// Bytes from the peer.
    WantsRead,
    /// Room in the kernel's buffer.
    WantsWrite,
    /// Nothing: it is done.
    Done,
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct TlsStream {
    session: Mutex<Session>,
    trust: Trust,
    agreement: OnceLock<Agreement>,
    /// Plaintext of which the kernel does not have every record yet.
    held: AtomicUsize,
    /// Records wait for the kernel: data, alerts, or answers of TLS itself.
    unsent: AtomicBool,
    /// There is something to read that the kernel will not announce.
    buffered: AtomicBool,
    /// The stream of a client ended without `close_notify`, so data at its end may be missing.
    truncated: AtomicBool,
}

/// Decides about the certificates of the peer.
#[derive(Debug)]
enum Trust {
    /// The peer is a server.
    Servers(Arc<TrustStore>),
    /// The peer is a client.
    Clients {
        /// `None`: it is asked for no certificate.
        trust: Option<Arc<ClientTrust>>,
        /// Whether a client without a trusted certificate is refused.
        required: bool,
    },
}

impl Trust {
    /// Why the peer is not trusted after a handshake. A client that must have a certificate was
    /// verified during the handshake, unless it has `resumed` an earlier session.
    fn refusal(&self, chain: &[CertificateDer<'_>], resumed: bool) -> Option<Untrusted> {
        match self {
            Self::Servers(trust) => trust.verify(chain).err(),
            Self::Clients { required, .. } if *required && !resumed => None,
            Self::Clients { trust, .. } => {
                let refusal = trust.as_ref()?.verify(chain).err()?;
                Some(refusal.untrusted)
            }
        }
    }
}

#[derive(Debug)]
struct Session {
    connection: Connection,
    /// Bytes from the kernel; those from `position` up to `end` are still to be decrypted.
    incoming: Vec<u8>,
    position: usize,
    end: usize,
    /// The kernel reported the end of the stream.
    ended: bool,
    /// An error that is reported once everything before it is read.
    failure: Option<ReadFailure>,
    /// Reading stopped although the kernel may have more, so that other connections get their turn.
    paused: bool,
    /// See [`TlsStream::is_truncated`].
    truncated: bool,
    /// The first bytes that a client sent, and their number. They distinguish a client without TLS
    /// from one that makes mistakes.
    greeting: ([u8; 4], u8),
}

/// Why nothing more can be read.
#[derive(Debug, Clone)]
enum ReadFailure {
    System(i32),
    Tls(TlsError),
}

impl ReadFailure {
    fn new(error: &io::Error) -> Self {
        match (TlsError::in_io_error(error), error.raw_os_error()) {
            (Some(tls_error), _) => Self::Tls(tls_error.clone()),
            (None, Some(errno)) => Self::System(errno),
            (None, None) => Self::Tls(rustls::Error::General(error.to_string()).into()),
        }
    }

    fn to_error(&self) -> io::Error {
        match self {
            Self::System(errno) => io::Error::from_raw_os_error(*errno),
            Self::Tls(error) => io::Error::other(error.clone()),
        }
    }
}

impl TlsStream {
    /// The client's end of a connection.
    pub(crate) fn client(config: &ClientConfig) -> Result<Self, TlsError> {
        let connection =
            ClientConnection::new(Arc::clone(&config.rustls), config.server_name.clone())?;
        let trust = Trust::Servers(Arc::clone(&config.trust));
        Ok(Self::new(connection.into(), trust))
    }

    /// The server's end of a connection.
    pub(crate) fn server(config: &ServerConfig) -> Result<Self, TlsError> {
        let connection = ServerConnection::new(Arc::clone(&config.rustls))?;
        let trust = Trust::Clients {
            trust: config.trust.clone(),
            required: config.required,
        };
        Ok(Self::new(connection.into(), trust))
    }

    fn new(connection: Connection, trust: Trust) -> Self {
        Self {
            session: Mutex::new(Session {
                connection,
                incoming: Vec::new(),
                position: 0,
                end: 0,
                ended: false,
                failure: None,
                paused: false,
                truncated: false,
                greeting: ([0; 4], 0),
            }),
            trust,
            agreement: OnceLock::new(),
            held: AtomicUsize::new(0),
            unsent: AtomicBool::new(false),
            buffered: AtomicBool::new(false),
            truncated: AtomicBool::new(false),
        }
    }

    /// Continues the handshake as far as the socket allows.
    pub(crate) fn handshake(&self, link: &Link) -> io::Result<HandshakeState> {
        let mut session = self.session.lock();
        loop {
            match session.write_records(link) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return Ok(HandshakeState::WantsWrite),
                Err(error) => return Err(error),
            }
            if !session.connection.is_handshaking() {
                let agreement = session.agreement(&self.trust);
                if let (Trust::Clients { required: true, .. }, Some(error)) =
                    (&self.trust, &agreement.untrusted)
                {
                    // The certificate was trusted in the session that was resumed, but no longer
                    // is.
                    return Err(io::Error::other(TlsError::Refused(error.clone())));
                }
                let _ = self.agreement.set(agreement);
                // Data that the peer sent right after its handshake is in this buffer already.
                self.buffered.store(true, Ordering::Release);
                return Ok(HandshakeState::Done);
            }
            if session.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match session.read_records(link) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return Ok(HandshakeState::WantsRead),
                Err(error) => {
                    // Sends the alert, if the kernel takes it.
                    let _ = session.write_records(link);
                    return Err(error);
                }
            }
        }
    }

    /// The result of the handshake, once it is done.
    pub(crate) fn agreement(&self) -> Option<&Agreement> {
        self.agreement.get()
    }

    /// Reads plaintext. Afterwards the buffer is full, or the kernel has no more for now, or
    /// [`has_buffered`](Self::has_buffered) is true.
    pub(crate) fn recv(&self, link: &Link, buffer: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session.lock();
        let result = session.recv(link, buffer);
        if session.connection.wants_write() {
            // An answer of TLS itself. If it cannot be sent, the next write reports the error.
            let _ = session.write_records(link);
            self.note_unsent(&session);
        }
        if session.truncated {
            self.truncated.store(true, Ordering::Release);
        }
        let more = match &result {
            Ok(count) => *count > 0 && session.has_more(),
            Err(_) => session.paused,
        };
        self.buffered.store(more, Ordering::Release);
        result
    }

    /// Whether the stream of a client has ended without `close_notify`.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated.load(Ordering::Acquire)
    }

    pub(crate) fn has_buffered(&self) -> bool {
        self.buffered.load(Ordering::Acquire)
    }

    /// Accepts plaintext, if the kernel has all records of the plaintext before it.
    pub(crate) fn send(&self, link: &Link, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = self.session.lock();
        let result = session.write_records(link).and_then(|()| {
            let accepted = session.connection.writer().write_vectored(pieces)?;
            if accepted == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match session.write_records(link) {
                Err(error) if !would_block(&error) => return Err(error),
                _ => {}
            }
            Ok(accepted)
        });
        self.note_unsent(&session);
        if let (Ok(accepted), true) = (&result, session.connection.wants_write()) {
            self.held.store(*accepted, Ordering::Release);
        }
        result
    }

    /// Gives the kernel the records that wait. An error of the kind `WouldBlock`: it did not take
    /// all.
    pub(crate) fn flush(&self, link: &Link) -> io::Result<()> {
        let mut session = self.session.lock();
        let result = session.write_records(link);
        self.note_unsent(&session);
        result
    }

    pub(crate) fn is_flushed(&self) -> bool {
        !self.unsent.load(Ordering::Acquire)
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Ends the sending direction, once the kernel has everything before that.
    pub(crate) fn shutdown_write(&self, link: &Link) -> io::Result<()> {
        let mut session = self.session.lock();
        session.connection.send_close_notify();
        let result = session.write_records(link);
        self.note_unsent(&session);
        result.and_then(|()| link.shutdown_write())
    }

    /// Ends the sending direction now, and discards records that the kernel does not take.
    pub(crate) fn finish(&self, link: &Link) -> io::Result<()> {
        match self.shutdown_write(link) {
            Err(error) if would_block(&error) => link.shutdown_write(),
            other => other,
        }
    }

    fn note_unsent(&self, session: &Session) {
        let unsent = session.connection.wants_write();
        if !unsent {
            self.held.store(0, Ordering::Release);
        }
        self.unsent.store(unsent, Ordering::Release);
    }
}

impl Session {
    fn agreement(&self, trust: &Trust) -> Agreement {
        let chain = self.connection.peer_certificates().unwrap_or_default();
        let resumed = self.connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let server_name = match &self.connection {
            Connection::Client(_) => None,
            Connection::Server(server) => server.server_name().map(str::to_owned),
        };
        Agreement {
            certificates: chain.iter().map(|der| der.to_vec()).collect(),
            untrusted: trust.refusal(chain, resumed),
            tls13: self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            cipher: self
                .connection
                .negotiated_cipher_suite()
                .map_or(0, |suite| u16::from(suite.suite())),
            protocol: self.connection.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            resumed,
        }
    }

    fn recv(&mut self, link: &Link, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        let mut empty_records = 0;
        self.paused = false;
        loop {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(filled);
                }
                Ok(count) => {
                    filled += count;
                    empty_records = 0;
                    if filled == buffer.len() {
                        return Ok(filled);
                    }
                    continue;
                }
                Err(error) if would_block(&error) => {}
                // FIN without close_notify. Node treats it like any other end; a server
                // distinguishes an end in the middle of a message.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.truncated = matches!(self.connection, Connection::Server(_));
                    return Ok(filled);
                }
                Err(error) => return Err(error),
            }
            if self.failure.is_none() {
                empty_records += 1;
                if empty_records > MAX_EMPTY_RECORDS {
                    // A peer may send empty records as fast as they are read.
                    self.paused = true;
                    return if filled > 0 {
                        Ok(filled)
                    } else {
                        Err(io::ErrorKind::Interrupted.into())
                    };
                }
                match self.read_records(link) {
                    Ok(()) => {}
                    Err(error) if would_block(&error) && filled > 0 => return Ok(filled),
                    Err(error) if would_block(&error) => return Err(error),
                    Err(error) => self.failure = Some(ReadFailure::new(&error)),
                }
            } else if filled > 0 {
                return Ok(filled);
            } else if let Some(failure) = &self.failure {
                return Err(failure.to_error());
            }
        }
    }

    /// Whether there is data, an end or an error to report without asking the kernel.
    fn has_more(&self) -> bool {
        self.position < self.end || self.ended || self.failure.is_some() || self.paused
    }

    /// Reads some bytes from the kernel, and decrypts their records.
    fn read_records(&mut self, link: &Link) -> io::Result<()> {
        if self.position == self.end {
            let mut incoming = READ_BUFFER.take();
            incoming.resize(READ_SIZE, 0);
            let result = loop {
                match link.recv(&mut incoming) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            match result {
                Ok(count @ 1..) => {
                    self.incoming = incoming;
                    self.position = 0;
                    self.end = count;
                }
                other => {
                    READ_BUFFER.set(incoming);
                    other?;
                    self.ended = true;
                    self.connection.read_tls(&mut io::empty())?;
                }
            }
        }
        if self.position < self.end {
            let mut rest = &self.incoming[self.position..self.end];
            let (greeting, length) = &mut self.greeting;
            if usize::from(*length) < greeting.len() {
                let missing = greeting[usize::from(*length)..].iter_mut();
                for (to, from) in missing.zip(rest) {
                    *to = *from;
                    *length += 1;
                }
            }
            self.position += self.connection.read_tls(&mut rest)?;
            if self.position == self.end {
                READ_BUFFER.set(std::mem::take(&mut self.incoming));
            }
        }
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::other(self.failure_of(error))),
        }
    }

    /// Whether the first byte of the client was that of a handshake.
    fn greeted_with_tls(&self) -> bool {
        const HANDSHAKE: u8 = 0x16;
        matches!(self.greeting, ([HANDSHAKE, ..], 1..))
    }

    fn failure_of(&self, error: rustls::Error) -> TlsError {
        match (error, &self.connection) {
            (rustls::Error::InvalidCertificate(reason), Connection::Server(_)) => take_refused()
                .map_or_else(
                    || rustls::Error::InvalidCertificate(reason).into(),
                    TlsError::Refused,
                ),
            (rustls::Error::InvalidMessage(_), Connection::Server(_))
                if !self.greeted_with_tls() =>
            {
                let http = [b"GET ", b"HEAD", b"POST", b"PUT "];
                TlsError::Plain {
                    http: http.contains(&&self.greeting.0),
                }
            }
            (error, _) => error.into(),
        }
    }

    /// Gives the kernel all records that wait. An error of the kind `WouldBlock`: it did not take
    /// all.
    fn write_records(&mut self, link: &Link) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut LinkWriter(link)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// The link as rustls writes to it.
struct LinkWriter<'a>(&'a Link);

impl Write for LinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
