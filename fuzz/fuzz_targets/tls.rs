//! A server's end of TLS, with a real client of rustls on the other end of a socket. The client's
//! bytes arrive in any pieces, corrupted, among other bytes, or not at all. The server never
//! panics. It only reads data that the client has sent, in order, and only sends data that the
//! target gives it. If no byte was changed, the handshake ends as the options say, and everything
//! arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Socket, Type};
use sockhop_native::transport::tls::{
    ClientCertificates, ClientTrust, ServerConfig, ServerOptions, TrustStore,
};
use sockhop_native::transport::{Outgoing, Stream};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, OnceLock};

/// `MSG_NOSIGNAL`, because `SIGPIPE` ends a process of libFuzzer. On other systems the caller must
/// ignore that signal.
const NO_SIGNAL: i32 = if cfg!(target_os = "linux") { 0x4000 } else { 0 };
/// More turns than a handshake and all messages of an input take.
const TURNS: usize = 2000;

#[derive(arbitrary::Arbitrary, Debug)]
enum Step<'a> {
    /// This many bytes of the client reach the server.
    Pass(u8),
    /// A byte of the client is changed on its way.
    Corrupt(u8, u8),
    /// Bytes of the client are lost.
    Lose(u8),
    /// The server gets other bytes.
    Bytes(&'a [u8]),
    /// The client, or the server, sends data.
    ClientSays(&'a [u8]),
    ServerSays(&'a [u8]),
    /// The server takes a turn.
    Serve,
    /// The client gets all bytes of the server.
    Answer,
    /// The client sends `close_notify`, or the connection ends without it.
    Notify,
    Cut,
    /// The server ends its direction.
    End,
}

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    /// Whether the server requires a certificate, and the client has one.
    required: bool,
    has_certificate: bool,
    /// Only TLS 1.2.
    old: bool,
    steps: Vec<Step<'a>>,
}

/// Certificates and keys that all inputs share.
struct Authority {
    root: CertificateDer<'static>,
    pem: String,
    server: (String, String),
    client: (CertificateDer<'static>, Vec<u8>),
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |name: &str| {
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &root).unwrap(), key)
        };
        let (server, server_key) = issue("localhost");
        let (client, client_key) = issue("client");
        Authority {
            root: root.der().clone(),
            pem: root.pem(),
            server: (server.pem(), server_key.serialize_pem()),
            client: (client.der().clone(), client_key.serialize_der()),
        }
    })
}

fn server_config(input: &Input<'_>) -> ServerConfig {
    let Authority { pem, server, .. } = authority();
    let trust = TrustStore::new(pem.as_bytes(), None).unwrap();
    let trust = Arc::new(ClientTrust::new(trust, pem.as_bytes(), None).unwrap());
    ServerConfig::new(ServerOptions {
        identities: vec![(server.0.as_bytes(), server.1.as_bytes())],
        clients: if input.required {
            ClientCertificates::Required(trust)
        } else {
            ClientCertificates::Requested(trust)
        },
        protocols: vec![b"sockhop".to_vec()],
        tls12: true,
        tls13: !input.old,
        own_order: true,
    })
    .unwrap()
}

fn client(input: &Input<'_>) -> ClientConnection {
    let Authority { root, client, .. } = authority();
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if input.has_certificate {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(client.1.clone()));
        builder
            .with_client_auth_cert(vec![client.0.clone()], key)
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

struct Ends {
    client: ClientConnection,
    /// The client's end of the socket.
    wire: Socket,
    /// Bytes of the client on their way.
    outgoing: Vec<u8>,
    server: Stream,
    is_done: bool,
    /// The server has failed, or the client.
    has_failed: bool,
    has_client_ended: bool,
    client_said: Vec<u8>,
    server_heard: Vec<u8>,
    server_said: Vec<u8>,
    client_heard: Vec<u8>,
    /// Nothing of the client was changed, lost or cut off.
    is_honest: bool,
}

impl Ends {
    fn collect(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.outgoing).unwrap();
        }
    }

    fn pass(&mut self, most: usize) {
        self.collect();
        let count = most.min(self.outgoing.len());
        let taken = self
            .wire
            .send_with_flags(&self.outgoing[..count], NO_SIGNAL);
        self.outgoing.drain(..taken.unwrap_or(0));
    }

    fn serve(&mut self) {
        if self.has_failed {
            return;
        }
        if !self.is_done {
            match self.server.advance_handshake() {
                Ok(is_done) => self.is_done = is_done,
                Err(_) => self.has_failed = true,
            }
            return;
        }
        let mut buffer = [0; 700];
        match self.server.recv(&mut buffer) {
            Ok(count) => self.server_heard.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let is_waiting =
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                self.has_failed |= !is_waiting;
            }
        }
        let _ = self.server.flush();
    }

    fn answer(&mut self) {
        while !self.has_client_ended {
            match self.client.read_tls(&mut &self.wire) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if self.client.process_new_packets().is_err() {
                self.has_client_ended = true;
                self.has_failed = true;
            }
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.client.reader().read(&mut buffer) {
                self.client_heard.extend_from_slice(&buffer[..count]);
            }
        }
    }

    fn run(&mut self, step: &Step<'_>) {
        match step {
            Step::Pass(count) => self.pass(usize::from(*count) * 8 + 1),
            Step::Corrupt(at, change) => {
                self.collect();
                let length = self.outgoing.len();
                if length > 0 && *change != 0 {
                    self.outgoing[usize::from(*at) % length] ^= change;
                    self.is_honest = false;
                }
            }
            Step::Lose(count) => {
                self.collect();
                let count = usize::from(*count).min(self.outgoing.len());
                self.outgoing.drain(..count);
                self.is_honest &= count == 0;
            }
            Step::Bytes(bytes) => {
                let _ = self.wire.send_with_flags(bytes, NO_SIGNAL);
                self.is_honest &= bytes.is_empty();
            }
            Step::ClientSays(bytes) => {
                let taken = self.client.writer().write(bytes).unwrap_or(0);
                self.client_said.extend_from_slice(&bytes[..taken]);
            }
            Step::ServerSays(bytes) if self.is_done && !self.has_failed => {
                let taken = self.server.send(bytes).unwrap_or(0);
                self.server_said.extend_from_slice(&bytes[..taken]);
            }
            Step::Serve => self.serve(),
            Step::Answer => self.answer(),
            Step::Notify => {
                self.client.send_close_notify();
                // The client sends nothing more, and the handshake may be incomplete. The client
                // does not read either, because another alert would be a failed assertion of
                // rustls.
                self.has_client_ended = true;
                self.is_honest = false;
            }
            Step::Cut => {
                let _ = self.wire.shutdown(Shutdown::Write);
                self.is_honest = false;
            }
            Step::End if self.is_done => {
                let _ = self.server.shutdown_write();
                // For the same reason the server reads no more.
                self.has_failed = true;
                self.is_honest = false;
            }
            Step::ServerSays(_) | Step::End => {}
        }
    }

    fn check(&self) {
        assert!(
            self.client_said.starts_with(&self.server_heard),
            "the server has read what the client has not said"
        );
        assert!(
            self.server_said.starts_with(&self.client_heard),
            "the client has read what the server has not said"
        );
    }

    fn is_settled(&self) -> bool {
        self.has_failed
            || (self.is_done
                && self.server_heard == self.client_said
                && self.client_heard == self.server_said)
    }
}

fuzz_target!(|input: Input<'_>| {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
    far.set_nonblocking(true).unwrap();
    let server = Stream::new(near)
        .unwrap()
        .into_secure(&server_config(&input));
    let mut ends = Ends {
        client: client(&input),
        wire: far,
        outgoing: Vec::new(),
        server: server.unwrap(),
        is_done: false,
        has_failed: false,
        has_client_ended: false,
        client_said: Vec::new(),
        server_heard: Vec::new(),
        server_said: Vec::new(),
        client_heard: Vec::new(),
        is_honest: true,
    };
    for step in &input.steps {
        ends.run(step);
        ends.check();
    }
    for _ in 0..TURNS {
        if ends.is_settled() {
            break;
        }
        ends.pass(usize::MAX);
        ends.serve();
        ends.answer();
        ends.check();
    }
    let is_refused = input.required && !input.has_certificate;
    if ends.is_honest {
        assert!(ends.is_settled(), "it came to no end");
        assert_eq!(ends.has_failed, is_refused, "the outcome of the handshake");
    }
    if is_refused {
        assert!(!ends.is_done, "a client without a certificate was let in");
    }
    if let Some(agreement) = ends.server.agreement() {
        let is_trusted = agreement.untrusted.is_none();
        assert_eq!(is_trusted, input.has_certificate);
        assert!(!(input.old && agreement.tls13));
    }
});
