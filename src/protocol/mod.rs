//! The protocol without I/O: bytes in, frames out.
//!
//! Nothing here opens a socket, reads a clock, knows Node or starts a task. So unit tests cover
//! every behaviour, with every split of a stream.
//!
//! A message arrives in this order:
//!
//! 1. [`Terminator`] says where a frame ends. It is measured in bytes, not in characters, and carries
//!    the search prepared for it, which all connections that use it share.
//! 2. [`Framer`] cuts the byte stream of one direction of one connection into frames, independently of
//!    the chunks that the kernel delivers, and refuses frames beyond a limit. It is a plain value.
//! 3. [`MixedFramer`] does the same for a peer that may send binary frames as well: another end of
//!    this package.
//! 4. [`parse_control`] finds the few frames that Rust answers itself: pings and pongs. All other frames
//!    pass through unopened, and the JavaScript engine parses their JSON.
//!
//! [`write_ping`] and [`write_pong`] write control frames, byte for byte as a JavaScript peer does.
//! [`iso8601`] formats their dates.
//!
//! [`ClusterLine`] reads the messages that the nodes of a cluster of servers send to each other,
//! and [`ClusterRun`] several that were sent together.

mod cluster_line;
mod cluster_run;
mod control_frame;
mod framer;
mod mixed_framer;
mod terminator;
mod timestamp;

pub use cluster_line::{ClusterLine, ClusterLineError};
pub use cluster_run::ClusterRun;
pub use control_frame::{
    Control, MAX_CONTROL_FRAME, PingBody, parse_control, write_ping, write_pong,
};
pub use framer::{Frame, FrameTooLarge, Framer};
pub use mixed_framer::{BinaryHeader, Incoming, MixedFramer, SWITCH};
pub use terminator::{EmptyTerminator, Terminator};
pub use timestamp::iso8601;
