//! The sending direction of a stream, as a send queue needs it.

use std::io::{self, IoSlice};

/// The sending direction of a stream.
pub trait Outgoing {
    /// Writes as many bytes as the kernel takes. With TLS, a record of which the kernel took only a
    /// part counts as written, and is [`held`](Self::held): no further bytes are taken before it is
    /// gone.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Like [`send`](Self::send), for several pieces.
    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Gives the kernel the bytes that are held; `WouldBlock` if it does not take all of them.
    fn flush(&self) -> io::Result<()>;

    /// Whether the kernel has everything. With TLS this may become false by reading, because TLS
    /// sends answers of its own.
    fn is_flushed(&self) -> bool;

    /// The number of sent bytes that the kernel may not have yet.
    fn held(&self) -> usize;

    /// Ends the sending direction after all sent bytes; `WouldBlock` if that has to wait.
    fn shutdown_write(&self) -> io::Result<()>;
}
