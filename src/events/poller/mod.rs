//! Reads quiet connections on the thread of a JavaScript environment's event loop.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod id_hasher;
mod source;
#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
pub use epoll::Poller;
pub use source::{PolledConnection, PolledListener};
#[cfg(not(target_os = "linux"))]
pub use unsupported::Poller;
