//! TLS, on the client's side of a connection.
//!
//! A [`Client`] says how to secure a connection and a [`Tls`] is one that is secured: rustls between
//! the plaintext of a [`Stream`](crate::transport::Stream) and its socket. The handshake is done before
//! there is a connection, so that nothing above a stream knows of it.
//!
//! Whether the server's certificate will do is decided after the handshake and before the
//! connection is read or written: [`Trust`] follows the chain, and JavaScript compares names, as
//! the program may have a say in that.

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use socket2::Socket;
use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::socket::{READ_SIZE, SEND_FLAGS};

/// How often in a row records are opened that bring nothing to read, before others get their turn.
const FRUITLESS_MOST: usize = 16;

thread_local! {
    /// A session borrows this while it has records to open, and holds no buffer of its own.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What cannot be used to make connections secure, in words for whoever looks into it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Certificates or keys in a form that is not known here.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// The pieces do not fit each other, or rustls has no use for them.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A failure that is TLS's own and not the system's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct Failure(#[from] rustls::Error);

impl Failure {
    /// The number of the alert that the peer sent, or one of those above them: 256 for a record
    /// that cannot be opened, 257 for bytes that are not TLS, 258 for anything else.
    pub fn number(&self) -> i32 {
        match &self.0 {
            rustls::Error::AlertReceived(alert) => i32::from(u8::from(*alert)),
            rustls::Error::DecryptError => 256,
            rustls::Error::InvalidMessage(_) => 257,
            _ => 258,
        }
    }
}

// ---- whom to trust ------------------------------------------------------------------------------

/// The certificates that are trusted.
#[derive(Debug)]
pub struct Trust {
    anchors: Vec<Anchor>,
    /// Of all anchors; almost always they are all valid.
    validity: Validity,
    store: RootCertStore,
    /// Trusted certificates that others issued: they lead to an anchor, and are none themselves.
    between: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
struct Anchor {
    der: CertificateDer<'static>,
    validity: Validity,
}

/// From when to when, each as `YYYYMMDDhhmmss`: that order is the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: u64,
    to: u64,
}

impl Validity {
    fn contains(self, now: u64) -> bool {
        self.from <= now && now <= self.to
    }
}

impl Trust {
    /// Trusts the certificates in `pem`.
    pub fn new(pem: &[u8]) -> Result<Self, ConfigError> {
        let unreadable = || ConfigError::Unreadable("a trusted certificate");
        let mut trust = Self::nobody();
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| unreadable())?;
            let outline = Outline::of(&der).ok_or_else(unreadable)?;
            if outline.issuer != outline.subject {
                trust.between.push(der);
                continue;
            }
            let validity = outline.validity;
            // What rustls cannot read leads nowhere here; JavaScript asks OpenSSL then.
            if trust.store.add(der.clone()).is_ok() {
                trust.validity.from = trust.validity.from.max(validity.from);
                trust.validity.to = trust.validity.to.min(validity.to);
                trust.anchors.push(Anchor { der, validity });
            }
        }
        Ok(trust)
    }

    /// Trusts the roots that Mozilla does, as of when this was built.
    pub fn mozilla() -> Self {
        let mut trust = Self::nobody();
        trust
            .store
            .extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        trust
    }

    fn nobody() -> Self {
        Self {
            anchors: Vec::new(),
            validity: Validity {
                from: 0,
                to: u64::MAX,
            },
            store: RootCertStore::empty(),
            between: Vec::new(),
        }
    }

    /// Whether `chain`, with the server's own certificate first, leads to an anchor. Names are not
    /// looked at.
    fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((server, sent)) = chain.split_first() else {
            return false;
        };
        let Ok(server) = ParsedCertificate::try_from(server) else {
            return false;
        };
        let now = UnixTime::now();
        let time = calendar(now.as_secs());
        let valid;
        // webpki takes an anchor as it is, OpenSSL only while it is valid.
        let store = if self.validity.contains(time) {
            &self.store
        } else {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(
                self.anchors
                    .iter()
                    .filter(|anchor| anchor.validity.contains(time))
                    .map(|anchor| anchor.der.clone()),
            );
            valid = store;
            &valid
        };
        let between: Vec<_> = sent.iter().chain(&self.between).cloned().collect();
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &server,
            store,
            &between,
            now,
            ring::default_provider()
                .signature_verification_algorithms
                .all,
        )
        .is_ok()
    }
}

/// What must be known of a certificate before it is trusted.
struct Outline<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    validity: Validity,
}

impl<'a> Outline<'a> {
    /// Reads the head of a certificate in DER: version, serial number, algorithm, then these.
    fn of(der: &'a [u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let (_, certificate, _) = element(der)?;
        let (_, mut rest, _) = element(certificate)?;
        let (tag, _, behind) = element(rest)?;
        if tag == VERSION {
            rest = behind;
        }
        let (_, _serial, rest) = element(rest)?;
        let (_, _algorithm, rest) = element(rest)?;
        let (issuer_tag, issuer, rest) = element(rest)?;
        let (validity_tag, validity, rest) = element(rest)?;
        let (subject_tag, subject, _) = element(rest)?;
        if [issuer_tag, validity_tag, subject_tag] != [SEQUENCE; 3] {
            return None;
        }
        let (from_tag, from, rest) = element(validity)?;
        let (to_tag, to, _) = element(rest)?;
        Some(Self {
            issuer,
            subject,
            validity: Validity {
                from: time(from_tag, from)?,
                to: time(to_tag, to)?,
            },
        })
    }
}

/// The first element of `der`: its tag, its content, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7f);
        if digits > 4 {
            return None;
        }
        let (number, behind) = rest.split_at_checked(digits)?;
        length = number
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

/// A point in time as certificates have it, as `YYYYMMDDhhmmss`.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    let digits = text.strip_suffix(b"Z")?;
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match (tag, digits.len()) {
        // Two digits of a year are of this century up to 49.
        (UTC_TIME, 12) if number < 500_000_000_000 => Some(20_000_000_000_000 + number),
        (UTC_TIME, 12) => Some(19_000_000_000_000 + number),
        (_, 14) => Some(number),
        _ => None,
    }
}

/// Seconds since 1970 as `YYYYMMDDhhmmss`.
fn calendar(seconds: u64) -> u64 {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Years that begin in March have their leap day at the end; the first of these is year 0.
    let days = seconds / 86_400 + 719_468;
    let era = days / DAYS_OF_400_YEARS;
    let day = days % DAYS_OF_400_YEARS;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = era * 400 + year + u64::from(month <= 2);
    let second = seconds % 86_400;
    let clock = second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60;
    (year * 10_000 + month * 100 + day) * 1_000_000 + clock
}

// ---- how to connect -----------------------------------------------------------------------------

/// What the program chose for its secure connections.
#[derive(Debug)]
pub struct Options<'a> {
    /// Whom to trust.
    pub trust: Arc<Trust>,
    /// The client's own certificate and what leads from it to a root, and its key; in PEM.
    pub identity: Option<(&'a [u8], &'a [u8])>,
    /// The name to ask the server for (SNI), if any.
    pub server_name: Option<String>,
    /// Protocols to offer (ALPN), the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// TLS 1.2 will do.
    pub tls12: bool,
    /// TLS 1.3 will do.
    pub tls13: bool,
}

/// How a client secures its connections.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    trust: Arc<Trust>,
    /// How long a handshake may take.
    pub(crate) timeout: Duration,
}

impl Client {
    /// Checks the options and makes them ready for use.
    pub fn new(options: Options<'_>, timeout: Duration) -> Result<Self, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match (options.tls12, options.tls13) {
            (true, true) => &[&rustls::version::TLS13, &rustls::version::TLS12],
            (true, false) => &[&rustls::version::TLS12],
            (false, true) => &[&rustls::version::TLS13],
            (false, false) => &[],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        let mut config = match options.identity {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => {
                let unreadable = |_| ConfigError::Unreadable("the certificate or its key");
                let chain = CertificateDer::pem_slice_iter(certificates)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(unreadable)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(unreadable)?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = options.protocols;
        let name = match options.server_name {
            // An address is never sent. The name is for SNI alone, nobody compares it here.
            None => ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Some(name) => ServerName::try_from(name)
                .map_err(|_| ConfigError::Unreadable("the server's name"))?,
        };
        Ok(Self {
            config: Arc::new(config),
            name,
            trust: options.trust,
            timeout,
        })
    }
}

/// Lets the handshake finish whatever the certificate is, if only the server has the key to it.
///
/// What comes of the certificate is [`Trust`]'s and then JavaScript's to say; until then the
/// connection carries nothing.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

// ---- a secure connection ------------------------------------------------------------------------

/// What a handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// What the server sent, its own certificate first; in DER.
    pub certificates: Vec<Vec<u8>>,
    /// They lead to one that is trusted.
    pub trusted: bool,
    /// Whether it is TLS 1.3, and not 1.2.
    pub tls13: bool,
    /// The number of the cipher suite.
    pub cipher: u16,
    /// The protocol the server chose (ALPN).
    pub protocol: Option<Vec<u8>>,
}

/// How a handshake goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// When there is something to read.
    Read,
    /// When there is room to write.
    Write,
    /// Not at all: it is done.
    Done,
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Tls {
    session: Mutex<Session>,
    trust: Arc<Trust>,
    agreement: OnceLock<Agreement>,
    /// Plaintext taken of which the kernel does not have every record yet.
    held: AtomicUsize,
    /// Records (or alerts, or answers of the protocol's own) wait for the kernel.
    unsent: AtomicBool,
    /// There is something to read that the kernel will not tell of.
    buffered: AtomicBool,
}

#[derive(Debug)]
struct Session {
    connection: ClientConnection,
    /// Bytes from the kernel; those from `at` up to `end` are still to be opened.
    incoming: Vec<u8>,
    at: usize,
    end: usize,
    /// The kernel said that there will be no more.
    ended: bool,
    /// To be told once everything before it is read.
    failure: Option<Broken>,
    /// Reading stopped although the kernel may have more, so that others get their turn.
    paused: bool,
}

/// Why no more can be read.
#[derive(Debug, Clone)]
enum Broken {
    System(i32),
    Tls(Failure),
}

impl Broken {
    fn to_error(&self) -> io::Error {
        match self {
            Self::System(errno) => io::Error::from_raw_os_error(*errno),
            Self::Tls(failure) => io::Error::other(failure.clone()),
        }
    }
}

impl Tls {
    pub(crate) fn new(client: &Client) -> Result<Self, Failure> {
        let connection = ClientConnection::new(Arc::clone(&client.config), client.name.clone())?;
        Ok(Self {
            session: Mutex::new(Session {
                connection,
                incoming: Vec::new(),
                at: 0,
                end: 0,
                ended: false,
                failure: None,
                paused: false,
            }),
            trust: Arc::clone(&client.trust),
            agreement: OnceLock::new(),
            held: AtomicUsize::new(0),
            unsent: AtomicBool::new(false),
            buffered: AtomicBool::new(false),
        })
    }

    /// Goes on with the handshake as far as the socket allows.
    pub(crate) fn shake_hands(&self, socket: &Socket) -> io::Result<Handshake> {
        let mut session = self.session.lock();
        loop {
            match session.write_out(socket) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return Ok(Handshake::Write),
                Err(error) => return Err(error),
            }
            if !session.connection.is_handshaking() {
                let _ = self.agreement.set(session.agreement(&self.trust));
                // What the server sent right behind its handshake is here already.
                self.buffered.store(true, Ordering::Release);
                return Ok(Handshake::Done);
            }
            if session.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match session.take_in(socket) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return Ok(Handshake::Read),
                Err(error) => {
                    // The server is to know why, as far as it can be told.
                    let _ = session.write_out(socket);
                    return Err(error);
                }
            }
        }
    }

    /// What the handshake agreed on, once it is done.
    pub(crate) fn agreement(&self) -> Option<&Agreement> {
        self.agreement.get()
    }

    /// Reads plaintext. It fills the buffer, or the kernel has no more for now, or
    /// [`has_buffered`](Self::has_buffered).
    pub(crate) fn recv(&self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session.lock();
        let result = session.recv(socket, buffer);
        if session.connection.wants_write() {
            // An answer of the protocol's own. If it cannot be sent, the next write will tell.
            let _ = session.write_out(socket);
            self.note_unsent(&session);
        }
        let more = match &result {
            Ok(count) => *count > 0 && session.has_more(),
            Err(_) => session.paused,
        };
        self.buffered.store(more, Ordering::Release);
        result
    }

    pub(crate) fn has_buffered(&self) -> bool {
        self.buffered.load(Ordering::Acquire)
    }

    /// Takes plaintext, if the kernel has all that was taken before.
    pub(crate) fn send(&self, socket: &Socket, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = self.session.lock();
        let result = session.write_out(socket).and_then(|()| {
            let taken = session.connection.writer().write_vectored(pieces)?;
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match session.write_out(socket) {
                Err(error) if !would_block(&error) => return Err(error),
                _ => {}
            }
            Ok(taken)
        });
        self.note_unsent(&session);
        if let (Ok(taken), true) = (&result, session.connection.wants_write()) {
            self.held.store(*taken, Ordering::Release);
        }
        result
    }

    /// Gives the kernel what waits; an error of the kind `WouldBlock` if it does not take it all.
    pub(crate) fn flush(&self, socket: &Socket) -> io::Result<()> {
        let mut session = self.session.lock();
        let result = session.write_out(socket);
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
    pub(crate) fn shutdown_write(&self, socket: &Socket) -> io::Result<()> {
        let mut session = self.session.lock();
        session.connection.send_close_notify();
        let result = session.write_out(socket);
        self.note_unsent(&session);
        result.and_then(|()| socket.shutdown(Shutdown::Write))
    }

    /// Ends the sending direction now; what the kernel does not have is given up.
    pub(crate) fn finish(&self, socket: &Socket) -> io::Result<()> {
        match self.shutdown_write(socket) {
            Err(error) if would_block(&error) => socket.shutdown(Shutdown::Write),
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
        Agreement {
            certificates: chain.iter().map(|der| der.to_vec()).collect(),
            trusted: trust.accepts(chain),
            tls13: self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            cipher: self
                .connection
                .negotiated_cipher_suite()
                .map_or(0, |suite| u16::from(suite.suite())),
            protocol: self.connection.alpn_protocol().map(<[u8]>::to_vec),
        }
    }

    fn recv(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        let mut fruitless = 0;
        self.paused = false;
        loop {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(filled);
                }
                Ok(count) => {
                    filled += count;
                    fruitless = 0;
                    if filled == buffer.len() {
                        return Ok(filled);
                    }
                    continue;
                }
                Err(error) if would_block(&error) => {}
                // FIN without a word before it. Node takes that for an end like any other.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(filled),
                Err(error) => return Err(error),
            }
            if self.failure.is_none() {
                fruitless += 1;
                if fruitless > FRUITLESS_MOST {
                    // Records without a byte in them may come as fast as they are opened.
                    self.paused = true;
                    return if filled > 0 {
                        Ok(filled)
                    } else {
                        Err(io::ErrorKind::Interrupted.into())
                    };
                }
                match self.take_in(socket) {
                    Ok(()) => {}
                    Err(error) if would_block(&error) && filled > 0 => return Ok(filled),
                    Err(error) if would_block(&error) => return Err(error),
                    Err(error) => self.failure = Some(broken(&error)),
                }
            } else if filled > 0 {
                return Ok(filled);
            } else if let Some(failure) = &self.failure {
                return Err(failure.to_error());
            }
        }
    }

    /// Whether there is something to read, or to be told, without the kernel.
    fn has_more(&self) -> bool {
        self.at < self.end || self.ended || self.failure.is_some() || self.paused
    }

    /// Opens some of what the kernel has.
    fn take_in(&mut self, socket: &Socket) -> io::Result<()> {
        if self.at == self.end {
            let mut incoming = SPARE.take();
            incoming.resize(READ_SIZE, 0);
            let result = loop {
                match (&*socket).read(&mut incoming) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            match result {
                Ok(count @ 1..) => {
                    self.incoming = incoming;
                    self.at = 0;
                    self.end = count;
                }
                other => {
                    SPARE.set(incoming);
                    other?;
                    self.ended = true;
                    self.connection.read_tls(&mut io::empty())?;
                }
            }
        }
        if self.at < self.end {
            let mut rest = &self.incoming[self.at..self.end];
            self.at += self.connection.read_tls(&mut rest)?;
            if self.at == self.end {
                SPARE.set(std::mem::take(&mut self.incoming));
            }
        }
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::other(Failure(error))),
        }
    }

    /// Gives the kernel all records there are, or answers `WouldBlock`.
    fn write_out(&mut self, socket: &Socket) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Sink(socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn broken(error: &io::Error) -> Broken {
    let failure = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (failure, error.raw_os_error()) {
        (Some(failure), _) => Broken::Tls(Failure::clone(failure)),
        (None, Some(errno)) => Broken::System(errno),
        (None, None) => Broken::Tls(Failure(rustls::Error::General(error.to_string()))),
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// The socket as rustls writes to it.
struct Sink<'a>(&'a Socket);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_with_flags(bytes, SEND_FLAGS)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored_with_flags(pieces, SEND_FLAGS)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Outgoing;
    use crate::transport::Stream;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::{ServerConfig, ServerConnection};
    use socket2::{Domain, SockRef, Type};
    use std::io::ErrorKind;
    use std::time::Instant;

    const DEADLINE: Duration = Duration::from_secs(20);

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new(name: &str) -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            Self(CertifiedIssuer::self_signed(params, key).unwrap())
        }

        fn trust(&self) -> Arc<Trust> {
            Arc::new(Trust::new(self.0.pem().as_bytes()).unwrap())
        }

        fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            change(&mut params);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.0).unwrap();
            let mut config =
                ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_no_client_auth()
                    .with_single_cert(
                        vec![certificate.der().clone()],
                        PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                    )
                    .unwrap();
            config.alpn_protocols = vec![b"sockhop".to_vec()];
            Arc::new(config)
        }
    }

    fn client(trust: Arc<Trust>) -> Client {
        let options = Options {
            trust,
            identity: None,
            server_name: Some("localhost".to_owned()),
            protocols: vec![b"other".to_vec(), b"sockhop".to_vec()],
            tls12: true,
            tls13: true,
        };
        Client::new(options, DEADLINE).unwrap()
    }

    /// A client's stream and a server on the other end of a Unix socket, both non-blocking.
    struct Pair {
        stream: Stream,
        server: ServerConnection,
        socket: Socket,
    }

    impl Pair {
        fn new(client: &Client, config: Arc<ServerConfig>) -> Self {
            let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
            far.set_nonblocking(true).unwrap();
            Self {
                stream: Stream::secure(near, client).unwrap(),
                server: ServerConnection::new(config).unwrap(),
                socket: far,
            }
        }

        fn connected(client: &Client, config: Arc<ServerConfig>) -> Self {
            let mut pair = Self::new(client, config);
            pair.drive(|stream| stream.shake_hands().unwrap() == Handshake::Done);
            pair
        }

        /// Lets the server take its turns until `done`.
        fn drive(&mut self, mut done: impl FnMut(&Stream) -> bool) {
            let begin = Instant::now();
            while !done(&self.stream) {
                assert!(begin.elapsed() < DEADLINE, "it never came to an end");
                self.turn();
            }
            self.turn();
        }

        /// The server reads and writes what it can.
        fn turn(&mut self) {
            while self.server.wants_write() {
                match self.server.write_tls(&mut &self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            match self.server.read_tls(&mut &self.socket) {
                Ok(_) => {
                    self.server.process_new_packets().unwrap();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }

        /// What the server has read.
        fn plaintext(&mut self) -> Vec<u8> {
            let mut bytes = vec![0; 256 * 1024];
            let count = self.server.reader().read(&mut bytes).unwrap_or(0);
            bytes.truncate(count);
            bytes
        }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect()
    }

    #[test]
    fn a_handshake_agrees_on_what_both_have() {
        let authority = Authority::new("Root");
        let pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        let agreement = pair.stream.agreement().unwrap();
        assert!(agreement.trusted);
        assert!(agreement.tls13);
        assert_eq!(agreement.certificates.len(), 1);
        assert_eq!(agreement.protocol.as_deref(), Some(&b"sockhop"[..]));
        assert_eq!(pair.server.server_name(), Some("localhost"));
    }

    #[test]
    fn a_stranger_is_told_apart() {
        let (authority, stranger) = (Authority::new("Root"), Authority::new("Root"));
        let pair = Pair::connected(&client(authority.trust()), stranger.server(|_| {}));
        assert!(!pair.stream.agreement().unwrap().trusted);
    }

    #[test]
    fn an_expired_certificate_is_told_apart() {
        let authority = Authority::new("Root");
        let config = authority.server(|params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        });
        let pair = Pair::connected(&client(authority.trust()), config);
        assert!(!pair.stream.agreement().unwrap().trusted);
    }

    #[test]
    fn an_anchor_counts_only_while_it_is_valid() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let key = KeyPair::generate().unwrap();
        let old = Authority(CertifiedIssuer::self_signed(params, key).unwrap());
        let fresh = Authority::new("Fresh");
        let both = Trust::new((old.0.pem() + &fresh.0.pem()).as_bytes()).unwrap();
        let client = client(Arc::new(both));
        for (authority, trusted) in [(old, false), (fresh, true)] {
            let pair = Pair::connected(&client, authority.server(|_| {}));
            assert_eq!(pair.stream.agreement().unwrap().trusted, trusted);
        }
    }

    #[test]
    fn what_is_read_comes_whole_and_a_short_read_is_the_last_for_now() {
        const LENGTH: usize = 300_000;
        let authority = Authority::new("Root");
        let mut pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        pair.server.set_buffer_limit(None);
        let sent = pattern(LENGTH);
        pair.server.writer().write_all(&sent).unwrap();
        // Buffers of these sizes end within records, and at their ends.
        for size in [1, 7, 4096, 16_384, 65_536].iter().cycle() {
            pair.turn();
            let mut buffer = vec![0; *size];
            let mut received = Vec::new();
            let begin = Instant::now();
            while received.len() < LENGTH {
                assert!(begin.elapsed() < DEADLINE);
                match pair.stream.recv(&mut buffer) {
                    Ok(count) => {
                        received.extend_from_slice(&buffer[..count]);
                        if count < buffer.len() && !pair.stream.has_buffered() {
                            let next = pair.stream.recv(&mut buffer).unwrap_err();
                            assert_eq!(next.kind(), ErrorKind::WouldBlock);
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        assert!(!pair.stream.has_buffered());
                    }
                }
                pair.turn();
            }
            assert!(received == sent);
            if *size == 65_536 {
                break;
            }
            pair.server.writer().write_all(&sent).unwrap();
        }
    }

    #[test]
    fn what_the_kernel_does_not_take_is_held_and_nothing_is_taken_behind_it() {
        let authority = Authority::new("Root");
        let mut pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        let sent = pattern(8 << 20);
        let mut taken = 0;
        let refused = loop {
            match pair.stream.send(&sent[taken..]) {
                Ok(count) => taken += count,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        assert!(!pair.stream.is_flushed());
        assert!(pair.stream.held() > 0 && pair.stream.held() <= taken);
        assert_eq!(
            pair.stream.flush().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        let mut received = Vec::new();
        let begin = Instant::now();
        while received.len() < sent.len() {
            assert!(begin.elapsed() < DEADLINE);
            pair.turn();
            received.extend(pair.plaintext());
            if taken < sent.len() {
                taken += pair.stream.send(&sent[taken..]).unwrap_or(0);
            } else if pair.stream.flush().is_ok() {
                assert_eq!(pair.stream.held(), 0);
            }
        }
        assert!(pair.stream.is_flushed());
        assert!(received == sent);
    }

    #[test]
    fn the_end_is_announced_and_comes_behind_everything() {
        let authority = Authority::new("Root");
        let mut pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        assert_eq!(pair.stream.send(b"last words").unwrap(), 10);
        pair.stream.shutdown_write().unwrap();
        pair.turn();
        assert_eq!(pair.plaintext(), b"last words");
        // `Ok(0)` is close_notify; FIN alone would be an error.
        pair.turn();
        assert_eq!(pair.server.reader().read(&mut [0; 16]).unwrap(), 0);
    }

    #[test]
    fn an_end_with_data_before_it_is_not_missed() {
        for announced in [true, false] {
            let authority = Authority::new("Root");
            let mut pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
            pair.server.writer().write_all(b"last words").unwrap();
            if announced {
                pair.server.send_close_notify();
            }
            pair.turn();
            if !announced {
                SockRef::from(&pair.socket)
                    .shutdown(Shutdown::Write)
                    .unwrap();
            }
            let mut buffer = [0; 64];
            assert_eq!(pair.stream.recv(&mut buffer).unwrap(), 10);
            assert!(pair.stream.has_buffered());
            assert_eq!(pair.stream.recv(&mut buffer).unwrap(), 0);
        }
    }

    #[test]
    fn a_key_update_is_answered() {
        let authority = Authority::new("Root");
        let mut pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        pair.server.refresh_traffic_keys().unwrap();
        pair.server.writer().write_all(b"after").unwrap();
        pair.turn();
        let mut buffer = [0; 64];
        assert_eq!(pair.stream.recv(&mut buffer).unwrap(), 5);
        assert!(pair.stream.is_flushed());
        pair.stream.send(b"answer").unwrap();
        pair.turn();
        assert_eq!(pair.plaintext(), b"answer");
    }

    #[test]
    fn bytes_that_are_no_tls_are_a_failure_of_tls() {
        let authority = Authority::new("Root");
        let pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
        (&pair.socket).write_all(&[0x17, 3, 3, 0, 32]).unwrap();
        (&pair.socket).write_all(&[0; 32]).unwrap();
        let mut buffer = [0; 64];
        for _ in 0..2 {
            let error = pair.stream.recv(&mut buffer).unwrap_err();
            let failure: &Failure = error.get_ref().unwrap().downcast_ref().unwrap();
            assert_eq!(failure.number(), 256);
        }
    }

    #[test]
    fn a_handshake_with_something_else_fails() {
        let authority = Authority::new("Root");
        let pair = Pair::new(&client(authority.trust()), authority.server(|_| {}));
        assert_eq!(pair.stream.shake_hands().unwrap(), Handshake::Read);
        (&pair.socket).write_all(b"220 a mail server\r\n").unwrap();
        assert!(pair.stream.shake_hands().is_err());
        assert_eq!(pair.stream.agreement(), None);

        let pair = Pair::new(&client(authority.trust()), authority.server(|_| {}));
        drop(pair.socket);
        let failed = loop {
            match pair.stream.shake_hands() {
                Ok(step) => assert_ne!(step, Handshake::Done),
                Err(error) => break error,
            }
        };
        assert!(matches!(
            failed.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ));
    }

    #[test]
    fn the_heads_of_certificates_are_read() {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2056, 1, 2);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let outline = Outline::of(certificate.der()).unwrap();
        assert_eq!(outline.issuer, outline.subject);
        assert_eq!(outline.validity.from, 19_991_231_000_000);
        assert_eq!(outline.validity.to, 20_560_102_000_000);
        for end in 0..80 {
            // Cut short anywhere, it is no certificate, and no reason to panic.
            assert!(Outline::of(&certificate.der()[..end]).is_none());
        }
    }

    #[test]
    fn seconds_become_dates() {
        assert_eq!(calendar(0), 19_700_101_000_000);
        assert_eq!(calendar(951_782_399), 20_000_228_235_959);
        assert_eq!(calendar(951_782_400), 20_000_229_000_000);
        assert_eq!(calendar(1_709_251_199), 20_240_229_235_959);
        assert_eq!(calendar(4_107_542_400), 21_000_301_000_000);
    }
}
