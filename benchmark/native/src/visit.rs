//! Visits a server over TLS: each visit is a connection with a full handshake, a message in each
//! direction, and an end in order.
//!
//! Commands (each is answered by one line of JSON):
//!
//! * `churn ms=<n> lanes=<n>`: as many visits as possible, `lanes` of them at a time.
//! * `steady ms=<n> rate=<n>`: visits that begin at random times, `rate` of them in a second. The
//!   times are the same in each round.
//!
//! The client does little, so that the server is measured: it compares the certificate with the one
//! that it expects, and does not verify the server's signature.

use crate::drive::Hello;
use crate::floor::count;
use crate::sys::{self, Address, Lines, Poll, Result, STDIN};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The round fails if no visit ends for this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Visit {
    socket: OwnedFd,
    tls: ClientConnection,
    /// Bytes of plaintext read so far.
    heard: usize,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Handshake,
    /// The first part of the hello was sent.
    Greeted,
    /// All of it was sent.
    Asked,
    /// The server has answered, and this end has ended.
    Ended,
}

struct Visitor {
    address: Address,
    hello: Hello,
    ready: u8,
    config: Arc<ClientConfig>,
    poll: Poll,
    input: Lines,
    visits: Vec<Option<Visit>>,
    free: Vec<usize>,
    under_way: usize,
    buffer: Vec<u8>,
    keys: Vec<u64>,
    commands: Vec<String>,
}

pub fn run(address: &str, hello: &str, ready: &str, certificate: &str) -> Result<()> {
    let poll = Poll::new()?;
    let input = Lines::open(&poll)?;
    let mut visitor = Visitor {
        address: Address::parse(address)?,
        hello: Hello::parse(hello)?,
        ready: *sys::hex(ready)?.first().ok_or("a ready byte is needed")?,
        config: config(sys::hex(certificate)?)?,
        poll,
        input,
        visits: Vec::new(),
        free: Vec::new(),
        under_way: 0,
        buffer: vec![0; 16_384],
        keys: Vec::new(),
        commands: Vec::new(),
    };
    println!("{{\"files\":{}}}", sys::raise_file_limit());
    loop {
        while visitor.commands.is_empty() {
            if visitor.input.ended {
                return Ok(());
            }
            visitor.turn(None)?;
        }
        let command = visitor.commands.remove(0);
        let words: Vec<&str> = command.split(' ').collect();
        let answer = match words[0] {
            "churn" => {
                let lanes: usize = sys::field(&words, "lanes")?;
                visitor.visit(&words, |under_way, _| under_way < lanes)?
            }
            "steady" => {
                let mut arrivals = Arrivals::new(sys::field(&words, "rate")?);
                visitor.visit(&words, move |_, elapsed| arrivals.is_due(elapsed))?
            }
            other => return Err(format!("unknown command: {other}").into()),
        };
        println!("{answer}");
    }
}

/// The times at which visits begin: the gaps between them are distributed exponentially, as those
/// between clients that know nothing of each other.
struct Arrivals {
    rate: f64,
    next: f64,
    state: u64,
}

impl Arrivals {
    fn new(rate: f64) -> Self {
        let mut arrivals = Self {
            rate,
            next: 0.0,
            state: 0x9e37_79b9_7f4a_7c15,
        };
        arrivals.draw();
        arrivals
    }

    fn draw(&mut self) {
        // Knuth's generator; its upper bits are the random ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let uniform = ((self.state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        self.next -= uniform.ln() / self.rate;
    }

    fn is_due(&mut self, elapsed: Duration) -> bool {
        let is_due = self.next <= elapsed.as_secs_f64();
        if is_due {
            self.draw();
        }
        is_due
    }
}

impl Visitor {
    /// Visits the server for the time that the command says. `is_due` is asked for each visit whether
    /// it may begin, by the number of visits under way and the time that has passed.
    fn visit(
        &mut self,
        words: &[&str],
        mut is_due: impl FnMut(usize, Duration) -> bool,
    ) -> Result<String> {
        let duration = Duration::from_millis(sys::field(words, "ms")?);
        let (cpu, begin) = (sys::cpu_us(), Instant::now());
        let mut done = 0;
        let mut heard = begin;
        loop {
            let is_over = begin.elapsed() >= duration;
            if is_over && self.under_way == 0 {
                break;
            }
            while !is_over && is_due(self.under_way, begin.elapsed()) {
                self.begin()?;
            }
            let ended = self.turn(Some(Duration::from_millis(1)))?;
            if ended > 0 {
                done += ended;
                heard = Instant::now();
            } else if self.under_way > 0 && heard.elapsed() > PATIENCE {
                return Err(format!("{done} visits have ended, then none").into());
            }
        }
        Ok(format!(
            "{{\"connections\":{done},\"ms\":{},\"cpuUs\":{}}}",
            begin.elapsed().as_secs_f64() * 1e3,
            sys::cpu_us() - cpu
        ))
    }

    fn begin(&mut self) -> Result<()> {
        let name = ServerName::try_from("localhost")?;
        let mut visit = Visit {
            socket: self
                .address
                .connect()
                .map_err(|e| format!("connecting: {e}"))?,
            tls: ClientConnection::new(Arc::clone(&self.config), name)?,
            heard: 0,
            stage: Stage::Handshake,
        };
        visit.flush()?;
        let at = self.free.pop().unwrap_or_else(|| {
            self.visits.push(None);
            self.visits.len() - 1
        });
        self.poll.add(visit.socket.as_raw_fd(), at as u64)?;
        self.visits[at] = Some(visit);
        self.under_way += 1;
        Ok(())
    }

    /// Waits once and handles all events. Returns how many visits have ended.
    fn turn(&mut self, patience: Option<Duration>) -> Result<usize> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        self.poll.wait(&mut keys, patience)?;
        let mut ended = 0;
        for &key in &keys {
            if key == STDIN {
                self.commands.extend(self.input.take()?);
                continue;
            }
            let at = key as usize;
            let Some(visit) = &mut self.visits[at] else {
                continue;
            };
            if visit.advance(&self.hello, self.ready, &mut self.buffer)? {
                self.visits[at] = None;
                self.free.push(at);
                self.under_way -= 1;
                ended += 1;
            }
        }
        self.keys = keys;
        Ok(ended)
    }
}

impl Visit {
    /// Reads what has arrived, and answers. Returns whether the server has ended the connection.
    fn advance(&mut self, hello: &Hello, ready: u8, buffer: &mut [u8]) -> Result<bool> {
        let mut socket = Socket(self.socket.as_raw_fd());
        let count = match self.tls.read_tls(&mut socket) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(format!("reading: {error}").into()),
        };
        self.tls.process_new_packets()?;
        if self.stage == Stage::Handshake && !self.tls.is_handshaking() {
            if self.tls.handshake_kind() == Some(HandshakeKind::Resumed) {
                return Err("the server has resumed a session".into());
            }
            self.tls.writer().write_all(&hello.first)?;
            self.stage = Stage::Greeted;
        }
        let mut is_answered = false;
        loop {
            match self.tls.reader().read(buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.heard += n;
                    is_answered |= self::count(&buffer[..n], ready) > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // sockhop 1.8.4 answers an end without `close_notify`.
                Err(_) if self.stage == Stage::Ended => break,
                Err(error) => return Err(format!("reading: {error}").into()),
            }
        }
        if self.stage == Stage::Greeted && self.heard >= hello.wait {
            self.tls.writer().write_all(&hello.rest)?;
            self.stage = Stage::Asked;
        }
        if self.stage == Stage::Asked && is_answered {
            self.tls.send_close_notify();
            self.stage = Stage::Ended;
            self.flush()?;
            sys::end(self.socket.as_raw_fd())?;
        } else {
            self.flush()?;
        }
        if count == 0 && self.stage != Stage::Ended {
            return Err("the server has closed a connection".into());
        }
        Ok(count == 0)
    }

    /// A visit sends less than the kernel's buffer holds.
    fn flush(&mut self) -> Result<()> {
        let mut socket = Socket(self.socket.as_raw_fd());
        while self.tls.wants_write() {
            self.tls
                .write_tls(&mut socket)
                .map_err(|error| format!("writing: {error}"))?;
        }
        Ok(())
    }
}

/// The socket as rustls reads and writes it.
struct Socket(RawFd);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::read(self.0, buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::write(self.0, bytes)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(certificate: Vec<u8>) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Expected {
            certificate: certificate.into(),
            schemes,
        }))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Accepts one certificate.
#[derive(Debug)]
struct Expected {
    certificate: CertificateDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
