//! sockhop-native: the sockhop 1.x protocol and its connections, behind N-API.
//!
//! The modules are layers, and arrows only point down:
//!
//! ```text
//! node   N-API: the classes JavaScript sees, the border. The only place with napi and `unsafe`.
//!  |
//! net    tokio: sockets, listeners, connections, liveness. Knows nothing of Node.
//!  |
//! wire   the protocol: framing and envelopes. No I/O, no clock: bytes in, frames out.
//! ```
//!
//! A message from a peer passes [`net::connection`] (read), [`wire`] (framed), [`net::mailbox`]
//! (queued) and `node::batch` (laid out for `lib/` as one text). One to a peer passes `lib/` (text),
//! `node::connection` (bytes) and [`net::outbox`].

#![deny(unsafe_code)]

pub mod net;
pub mod wire;

#[cfg(feature = "node")]
mod node;
