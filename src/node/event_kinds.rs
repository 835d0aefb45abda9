//! The numbers in the index of a batch, which JavaScript reads by the same names:
//! `lib/internal/native/dispatcher.js`.
//!
//! The index is a `Uint32Array` that is made once and written for every batch: a [`IndexHeader`],
//! then records of four numbers `kind, id (its lower and upper half), value`.

use napi_derive::napi;

/// The first numbers of the index.
#[napi]
#[derive(Clone, Copy)]
pub enum IndexHeader {
    /// How many numbers of the index are in use. JavaScript sets it to 0 when it has dispatched the
    /// batch.
    Used = 0,
    /// Whether more events were waiting.
    More = 1,
    /// Whether the runtime has dropped its native objects, and their methods must not be called.
    Dropped = 2,
    /// How often JavaScript has interrupted the batch because its time was up; JavaScript writes
    /// it.
    Interruptions = 3,
    /// Where records begin.
    Length = 4,
}

/// The kind of an event, first number of its record.
#[napi]
#[derive(Clone, Copy)]
pub enum EventKind {
    /// Frames of a connection: `value` is their count, and as many ends of them in the text follow
    /// the record.
    Frames,
    /// Frames of a connection, some of them binary: `value` is their count, and two numbers of each
    /// follow the record: its end in the text, and its end in the bytes. A text frame has no bytes.
    MixedFrames,
    /// A frame of its own among the extras.
    LargeFrame,
    /// A binary frame of its own: its text among the extras, and its bytes after that.
    LargeBinaryFrame,
    /// Received bytes, among the extras.
    Raw,
    /// A frame above the limit, which is among the extras.
    TooLarge,
    /// The peer has ended its direction.
    Ended,
    /// The connection is broken: `[kind, number, syscall]` among the extras, see `ErrorKind`.
    Failed,
    /// The kernel has everything up to the position among the extras.
    Flushed,
    /// Four pings in a row were not answered. The last kind of events of a connection.
    Dead,
    /// A broadcast has reached the kernel for each connection.
    BroadcastDone,
    /// A listener has a new connection, among the extras.
    Accepted,
    /// A listener has closed a connection at once: its two ends among the extras, or null.
    Refused,
    /// A listener could not accept: `[kind, number, syscall]` among the extras.
    ListenerFailed,
    /// An attempt to connect has succeeded: the connection is among the extras.
    Connected,
    /// An attempt to connect has failed: `[index of the endpoint, kind, number, syscall, ...]` among
    /// the extras.
    ConnectFailed,
    /// A client of a listener did not complete the TLS handshake:
    /// `[kind, number, syscall, ends, code, reason]` among the extras, see `Batch::handshake_failed`.
    HandshakeFailed,
}
