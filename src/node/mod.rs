//! N-API: the classes and functions that JavaScript uses.
//!
//! ```text
//! client         SockhopClient: attempts to connect
//! server         SockhopServer: listening, broadcasts, pings
//! session        SockhopSession: the membership of a connection in its server
//! listener       Listener, while a server listens
//! connection     Connection: reading, writing, ending
//! cluster_line   messages between the nodes of a cluster
//! framer         Framer, for bytes that come from JavaScript (ObjectBuffer, adopted streams)
//! tls            TlsTrustStore, TlsClientConfig: the trusted authorities of a client, its TLS options
//! tls_server     TlsServerConfig, TlsAcceptor: the TLS options of a server, its handshakes
//! openssl        OpenSSL verifies certificates that rustls does not trust
//! queue          EventQueue, one a JavaScript environment
//!  |-- dispatcher   calls JavaScript with a batch of events
//!  |-- batch        lays a batch out as one string and numbers; event_kinds names the numbers
//!  |-- waker        wakes the event loop from any thread
//!  `-- uv           the poll handle by which the event loop reads quiet connections itself
//! address        where to connect and listen, the ends of a connection
//! descriptors    descriptors of Node, which Windows does not have
//! module         keeps the library loaded on Windows; build.rs does it for Linux
//! options        options, as JavaScript has checked them
//! strings        strings, in both directions
//! values         numbers, lists, exceptions
//! errors         errors of events, and uncaught errors of the program
//! ```
//!
//! Only the dispatcher holds strong references to JavaScript objects: to the function that it
//! calls, and to the two arrays that it writes.
//!
//! This is the only place with `unsafe`; each block says why it is sound.

#![allow(unsafe_code)]
// The macros of napi make private items of this crate public, and require owned arguments.
#![allow(unreachable_pub, clippy::needless_pass_by_value)]

mod address;
mod batch;
mod client;
mod cluster_line;
mod connection;
mod descriptors;
mod dispatcher;
mod errors;
mod event_kinds;
mod framer;
mod listener;
#[cfg(windows)]
mod module;
mod openssl;
mod options;
mod queue;
mod server;
mod session;
mod strings;
mod tls;
mod tls_server;
#[cfg(unix)]
mod uv;
mod values;
mod waker;

/// The version of this crate. The loader compares it with the version of the package.
#[napi_derive::napi]
// A build for tests exports nothing.
#[cfg_attr(test, allow(dead_code))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Stops a panic at a callback from C: unwinding into its caller would end the process.
fn contain(f: impl FnOnce()) {
    // The panic hook has written its message to stderr.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
}
