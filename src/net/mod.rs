//! Sockets and time: everything between the kernel and the protocol, without Node.
//!
//! ```text
//! listener, client   accept and connect; each hands over finished connections
//!   connection       one peer: reads, frames, writes, ends
//!     load           what comes over it, for who should read it
//!     switch         who reads it, and whether it has a task
//!     outbox         bytes on their way out, in order, and who waits for them
//!     linger         the last part of one that was closed
//!     liveness       pings that were sent and what came back
//!     stream         the socket itself (TCP, Unix), or TLS on it
//!       tls          the secure session, and whom a client trusts
//!   poller           reads quiet connections on the JavaScript thread
//!   mailbox          what one JavaScript environment has yet to be told
//!     gauge          how much that is, and who waits for it to become less
//! server             the registry of a server's connections
//! pairing            order between a listener and the clients of its own environment
//! runtime            the one tokio runtime of the process
//! ```
//!
//! A connection has at most one task on the runtime, which waits for its socket. A connection that the
//! poller reads, and that has nothing left to send, has none. Writing, and handing over what was read, are
//! plain functions under short locks, so that the runtime or the thread that called `send()` can run them.
//!
//! Lock order, where two are held: a listener's `Door` before a connection's `Reader` before its `Outbox`
//! before the `Mailbox`. Reading may write (a pong), so whoever holds an `Outbox` takes no `Reader`.

pub mod client;
// Without a poller some of it has no caller.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub mod connection;
pub mod error;
mod gauge;
mod linger;
pub mod listener;
pub mod liveness;
mod load;
pub mod mailbox;
pub mod outbox;
pub mod pairing;
#[cfg_attr(not(target_os = "linux"), path = "poller_elsewhere.rs")]
pub mod poller;
pub mod runtime;
pub mod server;
pub mod settings;
pub mod stream;
mod switch;
mod sync;
pub mod tls;

pub use client::{Client, Endpoint};
pub use connection::Connection;
pub use error::SystemError;
pub use listener::Listener;
pub use mailbox::{Event, Mailbox, Segment};
pub use poller::Poller;
pub use server::Server;
pub use settings::{Settings, SlowConsumer};

#[cfg(all(test, not(sockhop_loom)))]
mod tests;

#[cfg(all(test, sockhop_loom))]
mod model;
