//! How connections and listeners reach one JavaScript environment: the queue of its events, the poller of its event
//! loop, and the tokio runtime of the process.

pub mod poller;
pub mod queue;
pub mod runtime;

pub use poller::Poller;
pub use queue::{Event, Mailbox, Segment};
