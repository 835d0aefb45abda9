//! The protocol, and nothing but the protocol: bytes in, frames out.
//!
//! Nothing here opens a socket, reads a clock, knows Node or starts a task, so every
//! behaviour can be tried in a unit test, with every split of every stream.
//!
//! A message arrives in this order:
//!
//! 1. [`Terminator`] says where a frame ends. It is measured in bytes, never in characters,
//!    and carries the search prepared for it, shared by all connections that use it.
//! 2. [`Framer`] cuts the byte stream of one direction of one connection into frames,
//!    whatever the chunks the kernel delivers it in, and refuses frames beyond a limit.
//!    It is a plain value: a connection that changes its framing replaces it.
//! 3. [`control()`] picks out the few frames Rust answers itself, pings and pongs. All other
//!    frames pass through unopened: their JSON is read once, by the JavaScript engine.
//!
//! [`write_ping`] and [`write_pong`] are the way back, byte for byte what a JavaScript peer
//! would write. Only they need to spell a date, with [`iso8601`].

mod control_frame;
mod framer;
mod terminator;
mod timestamp;

pub use control_frame::{Control, MAX_CONTROL_FRAME, PingBody, control, write_ping, write_pong};
pub use framer::{Frame, FrameTooLarge, Framer};
pub use terminator::{EmptyTerminator, Terminator};
pub use timestamp::iso8601;
