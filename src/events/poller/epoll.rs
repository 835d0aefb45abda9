//! Reading on a thread that has an event loop of its own: Node's.
//!
//! The runtime's reader costs a message one hop more: socket, runtime thread, JavaScript thread.
//! Where messages come one by one, that is most of what a round trip takes. A [`Poller`] gathers
//! such quiet connections behind one descriptor, which the event loop of the JavaScript thread
//! waits for; when it is readable, that thread calls [`turn`](Poller::turn) and reads them itself.
//!
//! Nothing here depends on which thread calls: while JavaScript is busy with a computation, the
//! runtime takes the turns (see [`WATCH_INTERVAL`]), so that pings are answered all the same.

use crate::connection::Connection;
use crate::endpoint::listener::Listener;
use crate::events::runtime::{Ticker, every};
use crate::transport::Stream;
use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::Socket;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Connections read in one turn; the descriptor stays readable if there are more.
const EVENTS_PER_TURN: usize = 256;
/// With one connection, nothing is asked but that connection: for so many turns, or until so much was read, while a
/// listener may be ready, too.
const UNASKED_TURNS: u64 = 16;
const UNASKED_BYTES: u64 = 64 * 1024;
/// How often the runtime looks whether the event loop still takes its turns. A peer that pings
/// faster than four times in twice this may find a blocked program dead.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Set in the key of a listener, which is no connection's.
const LISTENER: u64 = 1 << 63;

/// The quiet connections of one JavaScript environment, and its listeners.
///
/// They are watched level-triggered: the descriptor is readable exactly while one of them is. So a
/// connection that is not to be read must not be watched.
pub struct Poller {
    epoll: OwnedFd,
    connections: Mutex<HashMap<u64, Weak<Connection>>>,
    listeners: Mutex<HashMap<u64, Weak<Listener>>>,
    /// Turns taken by the event loop.
    turns: AtomicU64,
    /// What was read without asking what is ready, each turn counted as some bytes.
    unasked: AtomicU64,
    watch: Mutex<Option<Ticker>>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("epoll", &self.epoll)
            .finish_non_exhaustive()
    }
}

impl Poller {
    /// A poller without connections.
    pub fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Mutex::default(),
            listeners: Mutex::default(),
            turns: AtomicU64::new(0),
            unasked: AtomicU64::new(0),
            watch: Mutex::new(None),
        }))
    }

    /// The descriptor to wait for, readable while there is a turn to take.
    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Watches a connection, unless it is watched already.
    pub(crate) fn add(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        stream: &Stream,
    ) -> io::Result<()> {
        let id = connection.id();
        let watched = {
            // Together: a descriptor that is watched without its connection would make the loop spin.
            let mut connections = self.connections.lock();
            connections.insert(id, Arc::downgrade(connection));
            self.watch_fd(stream, id)
        };
        self.watch();
        watched
    }

    /// Watches a connection no more.
    pub(crate) fn remove(&self, id: u64, stream: &Stream) {
        let mut connections = self.connections.lock();
        // It may not have come as far as being added.
        let _ = epoll::delete(&self.epoll, stream);
        connections.remove(&id);
    }

    /// Watches a listener, unless it is watched already.
    pub(crate) fn add_listener(&self, listener: &Arc<Listener>, socket: &Socket) -> io::Result<()> {
        let id = listener.id();
        self.listeners.lock().insert(id, Arc::downgrade(listener));
        self.watch_fd(socket, LISTENER | id)
    }

    /// Watches a listener no more.
    pub(crate) fn remove_listener(&self, id: u64, socket: &Socket) {
        let _ = epoll::delete(&self.epoll, socket);
        self.listeners.lock().remove(&id);
    }

    fn watch_fd(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        let data = EventData::new_u64(key);
        match epoll::add(&self.epoll, fd, data, EventFlags::IN | EventFlags::RDHUP) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the connections that have something to read. The event loop's thread calls this when
    /// the descriptor is readable.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.read_ready();
    }

    fn read_ready(&self) {
        let only = {
            let connections = self.connections.lock();
            let mut all = connections.values();
            all.next()
                .filter(|_| all.next().is_none())
                .and_then(Weak::upgrade)
        };
        let mut had_its_turn = None;
        if let Some(only) = only {
            let before = only.bytes_received();
            if only.read_in_loop(1) {
                // If there is more, the descriptor stays readable.
                if self.need_not_ask(only.bytes_received() - before) {
                    return;
                }
                had_its_turn = Some(only.id());
            }
        }
        let mut ready: Vec<Event> = Vec::with_capacity(EVENTS_PER_TURN);
        if epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&NOW)).is_err() {
            // Interrupted: the descriptor is still readable.
            return;
        }
        let keys = || {
            ready.iter().map(|event| {
                let key = event.data.u64();
                (key & LISTENER != 0, key & !LISTENER)
            })
        };
        // Listeners first: what they have to do is short, and reading need not be.
        for (_, id) in keys().filter(|(is_listener, _)| *is_listener) {
            let listener = self.listeners.lock().get(&id).and_then(Weak::upgrade);
            if let Some(listener) = listener {
                listener.accept_in_loop();
            }
        }
        // So many take their turn at reading, and none of them is long.
        let share = ready.len();
        for (_, id) in keys().filter(|(is_listener, _)| !is_listener) {
            if had_its_turn == Some(id) {
                continue;
            }
            let connection = self.connections.lock().get(&id).and_then(Weak::upgrade);
            if let Some(connection) = connection {
                connection.read_in_loop(share);
            }
        }
    }

    /// Whether the turn is over when the only connection was read: not if a listener has waited for long enough.
    fn need_not_ask(&self, read: u64) -> bool {
        let unasked = read + UNASKED_BYTES / UNASKED_TURNS;
        if self.unasked.fetch_add(unasked, Ordering::Relaxed) + unasked < UNASKED_BYTES {
            return true;
        }
        self.unasked.store(0, Ordering::Relaxed);
        self.listeners.lock().is_empty()
    }

    /// Takes the turns that a blocked event loop does not, while there are connections.
    fn watch(self: &Arc<Self>) {
        let mut watch = self.watch.lock();
        if watch.is_some() {
            return;
        }
        let poller = Arc::downgrade(self);
        let mut seen = 0;
        let ticker = every(WATCH_INTERVAL, move || {
            let Some(poller) = poller.upgrade() else {
                return false;
            };
            {
                // Whoever adds a connection looks at the watch afterwards, under this lock.
                let mut watch = poller.watch.lock();
                if poller.connections.lock().is_empty() {
                    *watch = None;
                    return false;
                }
            }
            let turns = poller.turns.load(Ordering::Relaxed);
            if turns == seen {
                poller.read_ready();
            }
            seen = turns;
            true
        });
        // There is a connection, so there is a runtime.
        *watch = ticker.ok();
    }
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests {
    use super::Poller;
    use crate::connection::Connection;
    use crate::connection::Settings;
    use crate::endpoint::Listener;
    use crate::events::Event;
    use crate::events::Mailbox;
    use crate::transport::Address;
    use std::io::Write;
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;

    /// The connections that were accepted since the last look.
    fn accepted(mailbox: &Mailbox) -> Vec<Arc<Connection>> {
        let mut accepted = Vec::new();
        while let Some(segment) = mailbox.take() {
            accepted.extend(segment.events.iter().filter_map(|event| match event {
                Event::Accepted { connection, .. } => Some(Arc::clone(connection)),
                _ => None,
            }));
            mailbox.recycle(segment);
        }
        accepted
    }

    #[test]
    fn a_listener_has_its_turn_while_the_only_connection_always_has_something_to_say() {
        for frame in ["{}\n".to_string(), format!("{}\n", "x".repeat(100_000))] {
            let poller = Poller::new().unwrap();
            let mailbox = Mailbox::new(Box::new(|| {}), Some(Arc::clone(&poller)));
            let address = Address::Inet(SocketAddr::from(([127, 0, 0, 1], 0)));
            let settings = Arc::new(Settings::for_tests());
            let listener =
                Listener::listen(1, &address, 16, settings, Arc::clone(&mailbox)).unwrap();
            let Address::Inet(bound) = listener.address() else {
                panic!("a port was asked for");
            };
            let mut talker = TcpStream::connect(bound).unwrap();
            let mut connections = Vec::new();
            while connections.is_empty() {
                poller.turn();
                connections = accepted(&mailbox);
            }
            connections[0].start(false);
            let _other = TcpStream::connect(bound).unwrap();
            let turns = (1..100).find(|_| {
                talker.write_all(frame.as_bytes()).unwrap();
                let received = connections[0].traffic().bytes_in;
                // What was written arrives at some time.
                while connections[0].traffic().bytes_in == received {
                    poller.turn();
                }
                !accepted(&mailbox).is_empty()
            });
            assert!(turns.is_some_and(|turns| turns <= 16), "{turns:?}");
            mailbox.close();
        }
    }
}
