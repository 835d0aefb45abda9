//! The interface of connections and listeners for the poller that watches them.

use std::sync::Arc;
use std::time::Instant;

/// A connection that a poller can read.
pub trait PolledConnection: Send + Sync + 'static {
    /// The id, unique in the process.
    fn id(&self) -> u64;

    /// The bytes received so far.
    fn bytes_received(&self) -> u64;

    /// Reads on the event loop's thread, or on the runtime instead of a blocked event loop. `share`
    /// is the number of connections that are read in this turn, which began at `now`. Returns
    /// whether there was anything to read.
    fn read_in_loop(self: &Arc<Self>, share: usize, now: Instant) -> bool;
}

/// A listener that a poller can serve.
pub trait PolledListener: Send + Sync + 'static {
    /// The id, unique in the environment.
    fn id(&self) -> u64;

    /// Accepts on the event loop's thread.
    fn accept_in_loop(self: Arc<Self>);
}
