//! The two ways to get a connection: connecting to a server, and accepting a client.
//!
//! ```text
//! connector     connects, to the first endpoint that answers
//! listener      accepts
//! handshake     TLS handshakes of both
//! tls_acceptor  what the handshakes of a server share
//! loopback      orders the reports of both ends, where they are in one environment
//! registry      the connections of a server: broadcasts, groups, pings
//! distribution  gives broadcasts to the connections, on several threads
//! groups        the groups of a server, by their names
//! roster        a set of connections that keep their places
//! ```

pub mod connector;
mod distribution;
mod groups;
pub mod handshake;
pub mod listener;
pub mod loopback;
pub mod registry;
mod roster;
pub mod tls_acceptor;

pub use connector::Connector;
pub use listener::{Listener, LocalListeners};
pub use registry::ConnectionRegistry;
pub use tls_acceptor::TlsAcceptor;

#[cfg(all(test, sockhop_loom))]
mod loom;
