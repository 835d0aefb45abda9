//! The two ways to get a connection: connecting to a server and accepting clients.

pub mod connector;
pub mod listener;
pub mod loopback;
pub mod registry;

pub use connector::{Connector, Endpoint};
pub use listener::{Listener, LocalListeners};
pub use registry::ConnectionRegistry;

#[cfg(all(test, sockhop_loom))]
mod loom;
