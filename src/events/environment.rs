//! The state that the connections of one JavaScript environment (the main thread, or a worker)
//! share.

use super::batch::EventBatch;
use super::event::Event;
use super::poller::{PolledConnection, Poller};
use super::queue::{EventQueue, Source};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often [`Environment::drain`] checks its progress.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// A connection, as its environment needs it.
pub trait Member: Source + PolledConnection {
    /// Resumes a reader that stopped because too much waits for JavaScript.
    fn resume_reading(self: &Arc<Self>);

    /// The bytes that wait to be sent.
    fn queued(self: &Arc<Self>) -> usize;

    /// Closes the connection.
    fn close(self: &Arc<Self>);
}

/// Owns the event queue, the poller and the register of the connections of one JavaScript
/// environment. `C` is the connection type.
#[derive(Debug)]
pub struct Environment<C> {
    queue: EventQueue<C>,
    /// Reads quiet connections on the environment's event loop. `None`: the runtime reads all.
    poller: Option<Arc<Poller<C>>>,
    /// All open connections, to resume their readers and to close them when the environment ends.
    connections: Mutex<HashMap<u64, Weak<C>>>,
}

impl<C: Member> Environment<C> {
    /// An environment without connections. `wake` is called, on any thread, when the queue is no
    /// longer empty.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>, poller: Option<Arc<Poller<C>>>) -> Arc<Self> {
        Arc::new(Self {
            queue: EventQueue::new(wake),
            poller,
            connections: Mutex::default(),
        })
    }

    /// The events that JavaScript has not taken yet.
    pub fn queue(&self) -> &EventQueue<C> {
        &self.queue
    }

    /// Appends one event to the queue.
    pub fn post(&self, event: Event<C>) {
        self.queue.post(event);
    }

    /// The next batch, oldest first. The environment calls this until there is none, and gives each
    /// batch back with [`EventQueue::recycle`].
    pub fn take(&self) -> Option<EventBatch<C>> {
        let (batch, resume_readers) = self.queue.take()?;
        if resume_readers {
            for connection in self.open_connections() {
                connection.resume_reading();
            }
        }
        Some(batch)
    }

    /// The poller that reads quiet connections.
    pub(crate) fn poller(&self) -> Option<&Arc<Poller<C>>> {
        self.poller.as_ref()
    }

    pub(crate) fn register(&self, connection: &Arc<C>) {
        self.connections
            .lock()
            .insert(connection.id(), Arc::downgrade(connection));
    }

    pub(crate) fn forget(&self, id: u64) {
        self.connections.lock().remove(&id);
    }

    /// A list of references, so that no connection is used, or dropped, under the lock.
    fn open_connections(&self) -> Vec<Arc<C>> {
        let connections = self.connections.lock();
        connections.values().filter_map(Weak::upgrade).collect()
    }

    /// Closes all connections, and drops all events: the JavaScript environment ends.
    pub fn close(&self) {
        self.queue.close();
        for connection in self.open_connections() {
            connection.close();
        }
        self.queue.clear();
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Blocks until the kernel has all bytes that wait to be sent, but not longer than `patience`
    /// without any progress, nor longer than `limit` in all.
    ///
    /// This is for a program that is about to exit; the runtime continues to write meanwhile.
    pub fn drain(&self, patience: Duration, limit: Duration) {
        let began = Instant::now();
        let mut moved = began;
        let mut before = usize::MAX;
        loop {
            let queued = self.open_connections().iter().map(Member::queued).sum();
            let now = Instant::now();
            if queued < before {
                moved = now;
                before = queued;
            }
            if queued == 0 || now - moved >= patience || now - began >= limit {
                return;
            }
            std::thread::sleep(DRAIN_INTERVAL);
        }
    }

    /// The number of open connections.
    #[cfg(all(test, not(sockhop_loom)))]
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.lock().len()
    }
}
