//! sockhop-native: the sockhop 1.x protocol and its connections, behind N-API.
//!
//! The modules are layers, and arrows only point down:
//!
//! ```text
//! node         N-API: the classes that JavaScript sees. The only place with napi and `unsafe`.
//! endpoint     clients that connect, listeners that accept, the connections of a server
//! connection   one peer: reads, frames, writes, ends
//! events       the events of one JavaScript environment, its poller, the tokio runtime
//! transport    sockets, in the clear or with TLS
//! protocol     framing and control frames. No I/O, no clock: bytes in, frames out
//! ```
//!
//! A message from a peer passes [`connection`] (read), [`protocol`] (framed), [`events::queue`] (queued) and
//! `node::batch` (laid out for `lib/` as one text). One to a peer passes `lib/` (text), `node::connection` (bytes) and
//! [`connection::send_queue`].
//!
//! A connection has at most one task on the runtime, which waits for its socket. A connection that the
//! poller reads, and that has nothing left to send, has none. Writing, and handing over received frames, are
//! plain functions under short locks, so that the runtime or the thread that called `send()` can run them.
//!
//! Lock order, where two are held: a listener's `AcceptGate` before a connection's `Reader` before its `Outbox`
//! before the `Mailbox`. Reading may write (a pong), so code that holds an `Outbox` takes no `Reader`.

#![deny(unsafe_code)]

// Without a poller some of it has no caller.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub mod connection;
pub mod endpoint;
pub mod events;
pub mod protocol;
mod sync;
pub mod transport;

#[cfg(feature = "node")]
mod node;
