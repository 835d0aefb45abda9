use super::client_trust::AskForCertificate;
use super::{ClientConfig, ClientOptions, ClientTrust, HandshakeState, TlsError, TrustStore};
use crate::transport::{Outgoing, Stream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair};
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

    fn trust(&self) -> Arc<TrustStore> {
        Arc::new(TrustStore::new(self.0.pem().as_bytes(), None).unwrap())
    }

    fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
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

fn client(trust: Arc<TrustStore>) -> ClientConfig {
    let options = ClientOptions {
        trust,
        identity: None,
        server_name: Some("localhost".to_owned()),
        protocols: vec![b"other".to_vec(), b"sockhop".to_vec()],
        tls12: true,
        tls13: true,
    };
    ClientConfig::new(options, DEADLINE).unwrap()
}

/// A client's stream and a server on the other end of a Unix socket, both non-blocking.
struct Pair {
    stream: Stream,
    server: ServerConnection,
    socket: Socket,
}

impl Pair {
    fn new(client: &ClientConfig, config: Arc<ServerConfig>) -> Self {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        far.set_nonblocking(true).unwrap();
        Self {
            stream: Stream::secure(near.into(), client).unwrap(),
            server: ServerConnection::new(config).unwrap(),
            socket: far,
        }
    }

    fn connected(client: &ClientConfig, config: Arc<ServerConfig>) -> Self {
        let mut pair = Self::new(client, config);
        pair.drive(|stream| stream.handshake().unwrap() == HandshakeState::Done);
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

    /// The server reads and writes as much as it can.
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

    /// The plaintext that the server has read.
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
    assert!(agreement.untrusted.is_none());
    assert!(agreement.tls13);
    assert_eq!(agreement.certificates.len(), 1);
    assert_eq!(agreement.protocol.as_deref(), Some(&b"sockhop"[..]));
    assert_eq!(pair.server.server_name(), Some("localhost"));
}

#[test]
fn an_unknown_issuer_is_not_trusted() {
    let (authority, stranger) = (Authority::new("Root"), Authority::new("Root"));
    let pair = Pair::connected(&client(authority.trust()), stranger.server(|_| {}));
    let agreement = pair.stream.agreement().unwrap();
    assert!(agreement.untrusted.is_some());
}

#[test]
fn an_expired_certificate_is_not_trusted() {
    let authority = Authority::new("Root");
    let config = authority.server(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let pair = Pair::connected(&client(authority.trust()), config);
    let agreement = pair.stream.agreement().unwrap();
    assert!(agreement.untrusted.is_some());
}

#[test]
fn an_anchor_counts_only_while_it_is_valid() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate().unwrap();
    let old = Authority(CertifiedIssuer::self_signed(params, key).unwrap());
    let fresh = Authority::new("Fresh");
    let both = TrustStore::new((old.0.pem() + &fresh.0.pem()).as_bytes(), None).unwrap();
    let client = client(Arc::new(both));
    for (authority, trusted) in [(old, false), (fresh, true)] {
        let pair = Pair::connected(&client, authority.server(|_| {}));
        assert_eq!(
            pair.stream.agreement().unwrap().untrusted.is_none(),
            trusted
        );
    }
}

#[test]
fn all_plaintext_is_read_and_a_short_read_is_the_last_for_now() {
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
fn records_that_the_kernel_does_not_take_are_held_and_no_others_are_accepted() {
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
fn close_notify_follows_all_data() {
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
fn bytes_that_are_not_tls_are_a_tls_error() {
    let authority = Authority::new("Root");
    let pair = Pair::connected(&client(authority.trust()), authority.server(|_| {}));
    (&pair.socket).write_all(&[0x17, 3, 3, 0, 32]).unwrap();
    (&pair.socket).write_all(&[0; 32]).unwrap();
    let mut buffer = [0; 64];
    for _ in 0..2 {
        let error = pair.stream.recv(&mut buffer).unwrap_err();
        let failure: &TlsError = error.get_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(failure.number(), 256);
    }
}

#[test]
fn a_handshake_with_something_else_fails() {
    let authority = Authority::new("Root");
    let pair = Pair::new(&client(authority.trust()), authority.server(|_| {}));
    assert_eq!(pair.stream.handshake().unwrap(), HandshakeState::WantsRead);
    (&pair.socket).write_all(b"220 a mail server\r\n").unwrap();
    assert!(pair.stream.handshake().is_err());
    assert_eq!(pair.stream.agreement(), None);

    let pair = Pair::new(&client(authority.trust()), authority.server(|_| {}));
    drop(pair.socket);
    let failed = loop {
        match pair.stream.handshake() {
            Ok(step) => assert_ne!(step, HandshakeState::Done),
            Err(error) => break error,
        }
    };
    assert!(matches!(
        failed.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
}

#[test]
fn a_certificate_that_is_cut_short_is_refused() {
    let certificate = CertificateParams::default()
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    assert!(TrustStore::new(certificate.pem().as_bytes(), None).is_ok());
    let pem = certificate.pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for end in (0..base64.len() - 4).step_by(4) {
        let short = &base64[..end];
        let pem = format!("-----BEGIN CERTIFICATE-----\n{short}\n-----END CERTIFICATE-----\n");
        assert!(
            TrustStore::new(pem.as_bytes(), None).is_err(),
            "{end} digits"
        );
    }
}

/// Shows a certificate, and signs with a key that may be another one.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn pass<A, B>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

/// The handshake of a client whose certificate rustls cannot read, with a server that asks for one.
fn show_unreadable(
    version: &'static SupportedProtocolVersion,
    is_own_key: bool,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let authority = Authority::new("authority");
    let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions.push(unknown);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.0).unwrap();
    let signer = if is_own_key {
        key
    } else {
        KeyPair::generate().unwrap()
    };
    let signer = PrivateKeyDer::try_from(signer.serialize_der()).unwrap();
    let signer = provider.key_provider.load_private_key(signer).unwrap();
    let shown = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer));

    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Shown(shown)));
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let trust = TrustStore::new(authority.0.pem().as_bytes(), None).unwrap();
    let trust = Arc::new(ClientTrust::new(trust, b"", None).unwrap());
    let asks = AskForCertificate::new(trust, false, Arc::clone(&provider));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(asks))
        .with_single_cert(
            vec![params.signed_by(&own, &authority.0).unwrap().der().clone()],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while server.is_handshaking() {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client).unwrap();
    }
    Ok(())
}

#[test]
fn a_client_proves_a_certificate_that_rustls_cannot_read() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert_eq!(show_unreadable(version, true), Ok(()));
        let forged = show_unreadable(version, false);
        let reason = rustls::CertificateError::BadSignature;
        assert_eq!(forged, Err(rustls::Error::InvalidCertificate(reason)));
    }
}
