//! The events that one JavaScript environment receives.

use super::error::{ConnectionError, Failures, HandshakeError};
use crate::transport::SystemError;
use std::net::SocketAddr;
use std::sync::Arc;

/// A frame of this many bytes or more crosses the border as a string of its own.
pub const LARGE_FRAME: usize = 64 * 1024;
/// The cost of a frame in addition to its bytes, so that a flood of empty frames reaches the marks.
const FRAME_OVERHEAD: usize = 32;
/// A large frame costs JavaScript less per byte than small frames do.
const LARGE_DISCOUNT: usize = 4;

/// The cost of a frame, or of a chunk of raw bytes, of `length` bytes against the marks.
pub(crate) const fn queued_cost(length: usize) -> usize {
    length + FRAME_OVERHEAD
}

/// An event for JavaScript. Events of one connection keep their order. `C` is the connection type.
#[derive(Debug)]
pub enum Event<C> {
    /// The next `count` frames of the batch's text.
    Frames {
        /// The connection that received them.
        connection: Arc<C>,
        /// The number of frames.
        count: u32,
        /// Their cost against the marks.
        queued_cost: usize,
    },
    /// One large frame.
    LargeFrame {
        /// The connection that received it.
        connection: Arc<C>,
        /// Its text.
        bytes: Vec<u8>,
    },
    /// One large binary frame.
    LargeBinaryFrame {
        /// The connection that received it.
        connection: Arc<C>,
        /// Its bytes, with the header.
        bytes: Vec<u8>,
    },
    /// Raw bytes, for a program that listens to `data`.
    Raw {
        /// The connection that received them.
        connection: Arc<C>,
        /// The bytes of one read.
        bytes: Vec<u8>,
    },
    /// A frame exceeds the limit; the connection is not read any further.
    TooLarge {
        /// The connection that received it.
        connection: Arc<C>,
        /// `max_message_size`.
        limit: usize,
    },
    /// The peer ended its direction.
    Ended(Arc<C>),
    /// The connection is broken.
    Failed {
        /// The connection.
        connection: Arc<C>,
        /// The reason.
        error: ConnectionError,
    },
    /// The kernel has all bytes up to this position of the outgoing stream.
    Flushed {
        /// The connection.
        connection: Arc<C>,
        /// Bytes sent since the connection began, those of this package and of the program.
        position: u64,
    },
    /// Four pings in a row were not answered.
    Dead(Arc<C>),
    /// The kernel has a broadcast's bytes for every connection that is still open.
    BroadcastDone(u64),
    /// A listener accepted a connection, which is not read until it is started.
    Accepted {
        /// The id of the listener.
        listener: u64,
        /// The new connection.
        connection: Arc<C>,
    },
    /// A listener refused a connection because `max_connections` are open.
    Refused {
        /// The id of the listener.
        listener: u64,
        /// The local and the remote address of a TCP connection.
        ends: Option<Box<(SocketAddr, SocketAddr)>>,
    },
    /// A listener could not accept a connection; it retries by itself.
    ListenerFailed {
        /// The id of the listener.
        listener: u64,
        /// The reason.
        error: SystemError,
    },
    /// A client of a listener did not complete the TLS handshake.
    HandshakeFailed {
        /// The id of the listener.
        listener: u64,
        /// The local and the remote address of a TCP connection.
        ends: Option<Box<(SocketAddr, SocketAddr)>>,
        /// The reason.
        error: HandshakeError,
    },
    /// A client's attempt succeeded. The connection is not read until it is started.
    Connected {
        /// The id of the attempt.
        attempt: u64,
        /// The new connection.
        connection: Arc<C>,
    },
    /// A client's attempt failed.
    ConnectFailed {
        /// The id of the attempt.
        attempt: u64,
        /// The reasons.
        failures: Failures,
    },
}

impl<C> Event<C> {
    /// The connection that the event belongs to, if JavaScript knows that connection already.
    pub(crate) fn connection(&self) -> Option<&Arc<C>> {
        match self {
            Self::Frames { connection, .. }
            | Self::LargeFrame { connection, .. }
            | Self::LargeBinaryFrame { connection, .. }
            | Self::Raw { connection, .. }
            | Self::TooLarge { connection, .. }
            | Self::Ended(connection)
            | Self::Failed { connection, .. }
            | Self::Flushed { connection, .. }
            | Self::Dead(connection) => Some(connection),
            Self::BroadcastDone(_)
            | Self::Accepted { .. }
            | Self::Refused { .. }
            | Self::ListenerFailed { .. }
            | Self::HandshakeFailed { .. }
            | Self::Connected { .. }
            | Self::ConnectFailed { .. } => None,
        }
    }

    /// The cost of the event against the marks.
    pub(crate) fn queued_cost(&self) -> usize {
        match self {
            Self::Frames { queued_cost, .. } => *queued_cost,
            Self::LargeFrame { bytes, .. }
            | Self::LargeBinaryFrame { bytes, .. }
            | Self::Raw { bytes, .. } => queued_cost(bytes.len()),
            _ => 0,
        }
    }

    /// How much of its connection's turn the event takes.
    pub(crate) fn turn_cost(&self) -> usize {
        match self {
            Self::LargeFrame { .. } | Self::LargeBinaryFrame { .. } | Self::Raw { .. } => {
                self.queued_cost() / LARGE_DISCOUNT
            }
            _ => self.queued_cost(),
        }
    }
}
