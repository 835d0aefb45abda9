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
//!
//! sync         locks and atomics, which the loom models exchange
//! trace        log events for developers
//! ```
//!
//! A message from a peer passes [`connection`] (read), [`protocol`] (framed), [`events::queue`]
//! (queued) and `node::batch` (laid out for `lib/` as one text). A message to a peer passes `lib/`
//! (text), `node::connection` (bytes) and [`connection::send_queue`].
//!
//! Lock order, where two are held: the `AcceptGate` of a listener before the `Reader` of a
//! connection before its `Heartbeat` before its `SendQueue` before the `EventQueue`, or the groups,
//! the roster or the broadcast log of a server. Reading may record and write a pong, so code that
//! holds a `Heartbeat` or a `SendQueue` takes no `Reader`.

#![deny(unsafe_code)]
// On targets without native thread-local variables, clippy does not see that they are `const`.
#![cfg_attr(windows, allow(clippy::missing_const_for_thread_local))]

// Only the poller calls some of it, and not every system has a poller.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub mod connection;
pub mod endpoint;
pub mod events;
pub mod protocol;
mod sync;
mod trace;
pub mod transport;

#[cfg(feature = "node")]
mod node;
