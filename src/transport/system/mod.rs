//! The types that differ between systems, chosen when the crate is compiled. Modules of the layers
//! above use descriptors only to pass one of Node on.
//!
//! - `RawSocket`: a socket that connects, or is connected, and that no stream owns yet
//! - `Link`: the connected socket of a stream
//! - `Watch`, `Readiness`: waits on the runtime until a link can be read or written
//! - `BoundSocket`, `ListeningSocket`: a socket that listens, before and while the runtime or the
//!   poller watches it
//! - `SocketFile`: the file that a listener has made
//!
//! On Unix a socket is a descriptor, which the runtime and the poller take turns to watch. On
//! Windows the runtime watches a socket from its beginning to its end.

#[cfg(windows)]
pub(crate) mod pipe;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use super::socket_file::SocketFile;
#[cfg(unix)]
pub(crate) use unix::{BoundSocket, Link, ListeningSocket, RawSocket, Readiness, Watch};
#[cfg(windows)]
pub(crate) use windows::{
    BoundSocket, Link, ListeningSocket, RawSocket, Readiness, SocketFile, Watch,
};
