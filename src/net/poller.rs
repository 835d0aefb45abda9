//! Reading on a thread that has an event loop of its own: Node's.
//!
//! The runtime's reader costs a message one hop more: socket, runtime thread, JavaScript thread.
//! Where messages come one by one, that is most of what a round trip takes. A [`Poller`] gathers
//! such quiet connections behind one descriptor, which the event loop of the JavaScript thread
//! waits for; when it is readable, that thread calls [`turn`](Poller::turn) and reads them itself.
//!
//! Nothing here depends on which thread calls: while JavaScript is busy with a computation, the
//! runtime takes the turns (see [`WATCH_INTERVAL`]), so that pings are answered all the same.

use super::connection::Connection;
use super::runtime::{Ticker, every};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Connections read in one turn; the descriptor stays readable if there are more.
const EVENTS_PER_TURN: usize = 256;
/// How often the runtime looks whether the event loop still takes its turns. A peer that pings
/// faster than four times in twice this may find a blocked program dead.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The quiet connections of one JavaScript environment.
pub struct Poller {
    poll: Mutex<(Poll, Events)>,
    registry: Registry,
    fd: RawFd,
    connections: Mutex<HashMap<u32, Weak<Connection>>>,
    /// Turns taken by the event loop.
    turns: AtomicU64,
    watch: Mutex<Option<Ticker>>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

impl Poller {
    /// A poller without connections.
    pub fn new() -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let poller = Arc::new(Self {
            registry: poll.registry().try_clone()?,
            fd: poll.as_raw_fd(),
            poll: Mutex::new((poll, Events::with_capacity(EVENTS_PER_TURN))),
            connections: Mutex::default(),
            turns: AtomicU64::new(0),
            watch: Mutex::new(None),
        });
        Ok(poller)
    }

    /// The descriptor to wait for, readable while there is a turn to take.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Begins to read a connection here. It is looked at once, whatever was before.
    pub(super) fn add(self: &Arc<Self>, connection: &Arc<Connection>, fd: RawFd) -> io::Result<()> {
        let mut connections = self.connections.lock();
        let first = connections.is_empty();
        connections.insert(connection.id(), Arc::downgrade(connection));
        drop(connections);
        if first {
            self.watch();
        }
        self.registry
            .register(&mut SourceFd(&fd), token(connection), Interest::READABLE)
    }

    /// Has a connection looked at again, whether or not anything new arrives.
    pub(super) fn rearm(&self, connection: &Connection, fd: RawFd) -> io::Result<()> {
        self.registry
            .reregister(&mut SourceFd(&fd), token(connection), Interest::READABLE)
    }

    /// Reads a connection here no more. Its descriptor is still open.
    pub(super) fn remove(&self, connection: &Connection, fd: RawFd) {
        // It may not have come as far as being added.
        let _ = self.registry.deregister(&mut SourceFd(&fd));
        let mut connections = self.connections.lock();
        connections.remove(&connection.id());
        if connections.is_empty() {
            *self.watch.lock() = None;
        }
    }

    /// Reads the connections that have something to read. The event loop's thread calls this when
    /// the descriptor is readable.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.read_ready();
    }

    fn read_ready(&self) {
        let mut poll = self.poll.lock();
        let (poll, events) = &mut *poll;
        if poll.poll(events, Some(Duration::ZERO)).is_err() {
            // Interrupted: the descriptor is still readable.
            return;
        }
        for event in &*events {
            let connection = u32::try_from(event.token().0)
                .ok()
                .and_then(|id| self.connections.lock().get(&id).and_then(Weak::upgrade));
            if let Some(connection) = connection {
                connection.read_in_loop();
            }
        }
    }

    /// Takes the turns that a blocked event loop does not.
    fn watch(self: &Arc<Self>) {
        let poller = Arc::downgrade(self);
        let mut seen = 0;
        *self.watch.lock() = Some(every(WATCH_INTERVAL, move || {
            let Some(poller) = poller.upgrade() else {
                return false;
            };
            let turns = poller.turns.load(Ordering::Relaxed);
            if turns == seen {
                poller.read_ready();
            }
            seen = turns;
            true
        }));
    }
}

fn token(connection: &Connection) -> Token {
    Token(connection.id() as usize)
}
