//! What the queue of outgoing bytes needs of a stream.

use std::io::{self, IoSlice};

/// The outgoing direction of a stream.
pub trait Outgoing {
    /// Writes what the kernel takes. With TLS, a record of which it took only a part counts as
    /// written, and is [`held`](Self::held): nothing else is taken before it is gone.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what the kernel takes of several pieces, as [`send`](Self::send) does of one.
    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Gives the kernel what is held back; `WouldBlock` if it does not take all of it.
    fn flush(&self) -> io::Result<()>;

    /// Whether the kernel has everything. With TLS the answer may turn to no by reading, too: the
    /// protocol has answers of its own.
    fn is_flushed(&self) -> bool;

    /// How many of the bytes that [`send`](Self::send) took may not be with the kernel yet.
    fn held(&self) -> usize;

    /// Ends the sending direction behind everything that was sent; `WouldBlock` if that has to
    /// wait.
    fn shutdown_write(&self) -> io::Result<()>;
}
