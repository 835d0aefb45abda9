//! Verifies chains of certificates with OpenSSL.
//!
//! OpenSSL is part of the Node executable, which exports its functions for addons. They are looked
//! up there once, so that a runtime without them can load this library. A chain is verified by the
//! calls with which OpenSSL verifies the peer of a TLS connection, and with Node's settings: the
//! result is that of Node's `tls`.

use crate::transport::tls::{ChainVerifier, Untrusted};
#[cfg(unix)]
use libloading::os::unix::Library;
#[cfg(windows)]
use libloading::os::windows::Library;
use napi_derive::napi;
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_ulong, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

/// A pointer to an object of OpenSSL, whatever its type.
type Pointer = *mut c_void;
type Free = unsafe extern "C" fn(object: Pointer);
type VerifyCallback = unsafe extern "C" fn(ok: c_int, context: Pointer) -> c_int;
/// `d2i_X509` and `d2i_X509_CRL`.
type Parse = unsafe extern "C" fn(Pointer, der: *mut *const c_uchar, length: c_long) -> Pointer;

/// The lowest version whose functions and codes are those of this file.
const VERSION_3: c_ulong = 0x3000_0000;
/// `X509_V_FLAG_CRL_CHECK` and `X509_V_FLAG_CRL_CHECK_ALL`, which Node sets with a revocation list.
const CHECK_REVOCATION: c_ulong = 0x4 | 0x8;
/// `X509_V_ERR_UNSPECIFIED`: OpenSSL did not decide.
const NO_VERDICT: c_int = 1;

/// The names that Node has for the errors of OpenSSL, by their numbers in `x509_vfy.h`.
const CODES: [(c_int, &str); 28] = [
    (2, "UNABLE_TO_GET_ISSUER_CERT"),
    (3, "UNABLE_TO_GET_CRL"),
    (4, "UNABLE_TO_DECRYPT_CERT_SIGNATURE"),
    (5, "UNABLE_TO_DECRYPT_CRL_SIGNATURE"),
    (6, "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY"),
    (7, "CERT_SIGNATURE_FAILURE"),
    (8, "CRL_SIGNATURE_FAILURE"),
    (9, "CERT_NOT_YET_VALID"),
    (10, "CERT_HAS_EXPIRED"),
    (11, "CRL_NOT_YET_VALID"),
    (12, "CRL_HAS_EXPIRED"),
    (13, "ERROR_IN_CERT_NOT_BEFORE_FIELD"),
    (14, "ERROR_IN_CERT_NOT_AFTER_FIELD"),
    (15, "ERROR_IN_CRL_LAST_UPDATE_FIELD"),
    (16, "ERROR_IN_CRL_NEXT_UPDATE_FIELD"),
    (17, "OUT_OF_MEM"),
    (18, "DEPTH_ZERO_SELF_SIGNED_CERT"),
    (19, "SELF_SIGNED_CERT_IN_CHAIN"),
    (20, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
    (21, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    (22, "CERT_CHAIN_TOO_LONG"),
    (23, "CERT_REVOKED"),
    (25, "PATH_LENGTH_EXCEEDED"),
    (26, "INVALID_PURPOSE"),
    (27, "CERT_UNTRUSTED"),
    (28, "CERT_REJECTED"),
    (62, "HOSTNAME_MISMATCH"),
    (79, "INVALID_CA"),
];

/// The code of Node for the other errors.
const UNSPECIFIED: &str = "UNSPECIFIED";

/// Whether OpenSSL has begun to free its memory, at the end of the process. I/O threads run until
/// the very end, so its functions run only while this is locked for reading.
static HAS_ENDED: RwLock<bool> = RwLock::new(false);

/// OpenSSL calls it before it frees its memory.
unsafe extern "C" fn end() {
    *HAS_ENDED.write() = true;
}

/// Makes OpenSSL continue after each error, as Node does: the last error is the result.
unsafe extern "C" fn go_on(_ok: c_int, _context: Pointer) -> c_int {
    1
}

/// The functions of OpenSSL that are used here.
struct OpenSsl {
    clear_errors: unsafe extern "C" fn(),
    parse_certificate: Parse,
    free_certificate: Free,
    parse_list: Parse,
    free_list: Free,
    new_stack: unsafe extern "C" fn() -> Pointer,
    push: unsafe extern "C" fn(stack: Pointer, object: Pointer) -> c_int,
    free_stack: Free,
    new_store: unsafe extern "C" fn() -> Pointer,
    free_store: Free,
    add_certificate: unsafe extern "C" fn(store: Pointer, certificate: Pointer) -> c_int,
    add_list: unsafe extern "C" fn(store: Pointer, list: Pointer) -> c_int,
    set_flags: unsafe extern "C" fn(store: Pointer, flags: c_ulong) -> c_int,
    new_context: unsafe extern "C" fn() -> Pointer,
    free_context: Free,
    init_context:
        unsafe extern "C" fn(Pointer, store: Pointer, own: Pointer, chain: Pointer) -> c_int,
    parameters: unsafe extern "C" fn(context: Pointer) -> Pointer,
    set_level: unsafe extern "C" fn(parameters: Pointer, level: c_int),
    set_purpose: unsafe extern "C" fn(context: Pointer, name: *const c_char) -> c_int,
    set_callback: unsafe extern "C" fn(context: Pointer, VerifyCallback),
    verify: unsafe extern "C" fn(context: Pointer) -> c_int,
    error: unsafe extern "C" fn(context: Pointer) -> c_int,
    error_text: unsafe extern "C" fn(error: c_long) -> *const c_char,
    /// The level of security of TLS connections, which keys and signatures must have.
    level: c_int,
}

impl OpenSsl {
    /// The functions; none in a process without them.
    fn get() -> Option<&'static Self> {
        static OPENSSL: OnceLock<Option<OpenSsl>> = OnceLock::new();
        OPENSSL.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        let this = Library::this();
        #[cfg(windows)]
        let this = this.ok()?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the types are those of the headers of OpenSSL 3. Nothing is called before
                // the version is known, but for `OpenSSL_version_num`, which is older.
                *unsafe { this.get($name) }.ok()?
            };
        }
        let version: unsafe extern "C" fn() -> c_ulong = symbol!(b"OpenSSL_version_num");
        let at_exit: unsafe extern "C" fn(unsafe extern "C" fn()) -> c_int =
            symbol!(b"OPENSSL_atexit");
        let tls_method: unsafe extern "C" fn() -> Pointer = symbol!(b"TLS_method");
        let new_tls: unsafe extern "C" fn(Pointer) -> Pointer = symbol!(b"SSL_CTX_new");
        let free_tls: Free = symbol!(b"SSL_CTX_free");
        let level: unsafe extern "C" fn(Pointer) -> c_int = symbol!(b"SSL_CTX_get_security_level");
        let mut found = Self {
            clear_errors: symbol!(b"ERR_clear_error"),
            parse_certificate: symbol!(b"d2i_X509"),
            free_certificate: symbol!(b"X509_free"),
            parse_list: symbol!(b"d2i_X509_CRL"),
            free_list: symbol!(b"X509_CRL_free"),
            new_stack: symbol!(b"OPENSSL_sk_new_null"),
            push: symbol!(b"OPENSSL_sk_push"),
            free_stack: symbol!(b"OPENSSL_sk_free"),
            new_store: symbol!(b"X509_STORE_new"),
            free_store: symbol!(b"X509_STORE_free"),
            add_certificate: symbol!(b"X509_STORE_add_cert"),
            add_list: symbol!(b"X509_STORE_add_crl"),
            set_flags: symbol!(b"X509_STORE_set_flags"),
            new_context: symbol!(b"X509_STORE_CTX_new"),
            free_context: symbol!(b"X509_STORE_CTX_free"),
            init_context: symbol!(b"X509_STORE_CTX_init"),
            parameters: symbol!(b"X509_STORE_CTX_get0_param"),
            set_level: symbol!(b"X509_VERIFY_PARAM_set_auth_level"),
            set_purpose: symbol!(b"X509_STORE_CTX_set_default"),
            set_callback: symbol!(b"X509_STORE_CTX_set_verify_cb"),
            verify: symbol!(b"X509_verify_cert"),
            error: symbol!(b"X509_STORE_CTX_get_error"),
            error_text: symbol!(b"X509_verify_cert_error_string"),
            level: 0,
        };
        // SAFETY: Node has initialized OpenSSL, whose functions any thread may call. The context is
        // freed after its only use.
        unsafe {
            if version() < VERSION_3 || at_exit(end) != 1 {
                return None;
            }
            let tls = Owned::new(new_tls(tls_method()), free_tls)?;
            found.level = level(tls.0);
        }
        Some(found)
    }

    /// Verifies a chain, and returns the number of the error, 0 if it is trusted. None: OpenSSL
    /// cannot read a certificate, or has no memory.
    fn verify(&self, store: &Owned, purpose: &CStr, chain: &[CertificateDer<'_>]) -> Option<c_int> {
        let chain = chain
            .iter()
            .map(|der| parse(der, self.parse_certificate, self.free_certificate));
        let chain: Vec<Owned> = chain.collect::<Option<_>>()?;
        // SAFETY: all objects are alive until the end of the block, the chain longer than the stack
        // and the stack longer than the context. The store counts its references, and any number of
        // threads may read it.
        unsafe {
            let stack = Owned::new((self.new_stack)(), self.free_stack)?;
            for certificate in &chain {
                if (self.push)(stack.0, certificate.0) == 0 {
                    return None;
                }
            }
            let context = Owned::new((self.new_context)(), self.free_context)?;
            if (self.init_context)(context.0, store.0, chain.first()?.0, stack.0) != 1 {
                return None;
            }
            (self.set_level)((self.parameters)(context.0), self.level);
            if (self.set_purpose)(context.0, purpose.as_ptr()) != 1 {
                return None;
            }
            (self.set_callback)(context.0, go_on);
            (self.verify)(context.0);
            let error = (self.error)(context.0);
            // Otherwise a later failure of another connection would report these errors as its
            // reason.
            (self.clear_errors)();
            Some(error)
        }
    }

    fn store(&self, certificates: &[u8], revoked: &[u8]) -> Option<Owned> {
        // SAFETY: the store is new, and no other thread has it. It takes references of its own to
        // the objects that are added.
        unsafe {
            let store = Owned::new((self.new_store)(), self.free_store)?;
            for der in CertificateDer::pem_slice_iter(certificates).flatten() {
                if let Some(certificate) =
                    parse(&der, self.parse_certificate, self.free_certificate)
                {
                    (self.add_certificate)(store.0, certificate.0);
                }
            }
            for der in CertificateRevocationListDer::pem_slice_iter(revoked).flatten() {
                let list = parse(&der, self.parse_list, self.free_list)?;
                (self.add_list)(store.0, list.0);
                (self.set_flags)(store.0, CHECK_REVOCATION);
            }
            (self.clear_errors)();
            Some(store)
        }
    }

    fn text_of(&self, error: c_int) -> String {
        // SAFETY: the text is static, or in static memory that only errors without a text use.
        let text = unsafe { CStr::from_ptr((self.error_text)(c_long::from(error))) };
        text.to_string_lossy().into_owned()
    }
}

/// An object of OpenSSL, and the function that frees it.
struct Owned(Pointer, Free);

// SAFETY: only a store is shared between threads. OpenSSL locks it, and nothing changes it once it
// is made.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    /// None for the null pointer, which means a failure.
    fn new(object: Pointer, free: Free) -> Option<Self> {
        (!object.is_null()).then_some(Self(object, free))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Another lock for reading may be held by this thread, and `end` may wait.
        let ended = HAS_ENDED.read_recursive();
        if !*ended {
            // SAFETY: this is the only reference that is left, and OpenSSL has not ended.
            unsafe { (self.1)(self.0) };
        }
    }
}

fn parse(der: &[u8], parse: Parse, free: Free) -> Option<Owned> {
    let length = c_long::try_from(der.len()).ok()?;
    let mut at = der.as_ptr();
    // SAFETY: the pointer and the length are those of a slice, and the result is a new object.
    Owned::new(unsafe { parse(ptr::null_mut(), &raw mut at, length) }, free)
}

/// Which end of a connection the chains belong to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    Client,
    Server,
}

impl Peer {
    /// The name of OpenSSL's settings for it.
    fn purpose(self) -> &'static CStr {
        match self {
            Self::Client => c"ssl_client",
            Self::Server => c"ssl_server",
        }
    }
}

/// Lets OpenSSL verify the chains of the peers of one end.
pub(super) struct Verifier {
    peer: Peer,
    /// The trusted certificates and the revocation lists, in PEM.
    pem: (Vec<u8>, Vec<u8>),
    /// Made from them for the first chain, because most programs never need it.
    store: OnceLock<Option<Owned>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Trusts `certificates`, except for chains that the lists in `revoked` name; both are in PEM.
    /// None where the process has no OpenSSL.
    pub(super) fn shared(
        peer: Peer,
        certificates: &[u8],
        revoked: &[u8],
    ) -> Option<Arc<dyn ChainVerifier>> {
        OpenSsl::get()?;
        Some(Arc::new(Self {
            peer,
            pem: (certificates.to_vec(), revoked.to_vec()),
            store: OnceLock::new(),
        }))
    }

    fn error(&self, openssl: &OpenSsl, chain: &[CertificateDer<'_>]) -> Option<c_int> {
        let (certificates, revoked) = &self.pem;
        let store = self
            .store
            .get_or_init(|| openssl.store(certificates, revoked));
        openssl.verify(store.as_ref()?, self.peer.purpose(), chain)
    }
}

impl ChainVerifier for Verifier {
    fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Untrusted> {
        let ended = HAS_ENDED.read();
        let untrusted = |error, reason| {
            Err(Untrusted {
                code: code_of(error),
                reason,
            })
        };
        let Some(openssl) = OpenSsl::get().filter(|_| !*ended) else {
            return untrusted(NO_VERDICT, "the process ends".to_owned());
        };
        match self.error(openssl, chain).unwrap_or(NO_VERDICT) {
            0 => Ok(()),
            error => untrusted(error, openssl.text_of(error)),
        }
    }
}

fn code_of(error: c_int) -> &'static str {
    let found = CODES.iter().find(|(number, _)| *number == error);
    found.map_or(UNSPECIFIED, |(_, code)| code)
}

/// Whether this process has OpenSSL, which verifies the certificates that rustls does not trust.
#[napi(catch_unwind)]
// A build for tests exports nothing.
#[cfg_attr(test, allow(dead_code))]
pub fn has_openssl() -> bool {
    OpenSsl::get().is_some()
}

/// OpenSSL's description of the error of a certificate for which Node has this code.
#[napi(catch_unwind)]
#[cfg_attr(test, allow(dead_code))]
pub fn certificate_reason(code: String) -> Option<String> {
    let (error, _) = CODES.iter().find(|(_, known)| *known == code)?;
    Some(OpenSsl::get()?.text_of(*error))
}
