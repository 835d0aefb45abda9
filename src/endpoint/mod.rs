//! The two ways to get a connection: connecting to a server, and accepting a client.
//!
//! ```text
//! connector   connects, to the first endpoint that answers; TLS handshakes
//! listener    accepts
//! loopback    orders the reports of both ends, where they are in one environment
//! registry    the connections of a server: broadcasts, pings
//! ```

pub mod connector;
pub mod listener;
pub mod loopback;
pub mod registry;

pub use connector::{Connector, Endpoint};
pub use listener::{Listener, LocalListeners};
pub use registry::ConnectionRegistry;

#[cfg(all(test, sockhop_loom))]
mod loom;
