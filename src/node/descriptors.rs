//! Descriptors of Node: sockets that Node or the program has made, and duplicates for Node.
//!
//! On Windows sockets and pipes are handles, which Node does not show, and a descriptor is that of
//! a file. So there is nothing to take over or to pass on.

#[cfg(unix)]
pub(super) use unix::{adopt, close_inherited, inherit, of_listener, of_stream};
#[cfg(windows)]
pub(super) use windows::{adopt, close_inherited, inherit, of_listener, of_stream};

#[cfg(unix)]
mod unix {
    use crate::endpoint::Listener;
    use crate::endpoint::handshake::Adopted;
    use crate::transport::{Listening, Stream};
    use std::io;
    use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

    /// The last descriptor of the standard streams.
    const STDERR: i32 = 2;

    /// A borrowed descriptor that is duplicated at once.
    fn borrow(fd: i32) -> io::Result<BorrowedFd<'static>> {
        if fd < 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the callers only duplicate it, at once. If it is not open, the system refuses.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Listens on a duplicate of a descriptor.
    pub(crate) fn inherit(fd: i32, backlog: Option<i32>) -> io::Result<Listening> {
        Listening::inherit(borrow(fd)?, backlog)
    }

    /// Closes a descriptor of which a listener has a duplicate. Those of the standard streams stay
    /// open, because another file would take their place.
    pub(crate) fn close_inherited(fd: i32) {
        if fd > STDERR {
            // SAFETY: it is open, and the program has given it away.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }

    /// Takes over a duplicate of the descriptor of a socket that was accepted elsewhere.
    pub(crate) fn adopt(listener: &Listener, fd: i32) -> io::Result<Adopted> {
        let own = borrow(fd)?.try_clone_to_owned()?;
        listener.adopt(own.into())
    }

    /// A duplicate of the descriptor, which the caller closes; -1 if there is none.
    pub(crate) fn of_listener(listener: &Listener) -> i32 {
        listener.duplicate().map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Like `of_listener`, for a connection.
    pub(crate) fn of_stream(stream: &Stream) -> i32 {
        stream.duplicate().map_or(-1, IntoRawFd::into_raw_fd)
    }
}

#[cfg(windows)]
mod windows {
    use crate::endpoint::Listener;
    use crate::endpoint::handshake::Adopted;
    use crate::transport::{Listening, Stream};
    use std::io;

    /// A descriptor is not a socket. `lib/internal/server/listen-place.js` refuses it first.
    pub(crate) fn inherit(_: i32, _: Option<i32>) -> io::Result<Listening> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Windows passes no descriptor to a process.
    pub(crate) fn close_inherited(_: i32) {}

    /// Sockets that Node accepts have no descriptor: JavaScript reads them.
    pub(crate) fn adopt(_: &Listener, _: i32) -> io::Result<Adopted> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns -1, because there is no descriptor.
    pub(crate) fn of_listener(_: &Listener) -> i32 {
        -1
    }

    /// Like `of_listener`, for a connection.
    pub(crate) fn of_stream(_: &Stream) -> i32 {
        -1
    }
}
