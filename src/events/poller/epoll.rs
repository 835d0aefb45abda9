//! Reading on a thread that has an event loop of its own: the thread of JavaScript.
//!
//! Reading on the runtime costs a message one hop more: socket, runtime thread, JavaScript thread.
//! If messages arrive one by one, that hop takes most of a round trip. A [`Poller`] gathers such
//! quiet connections in an epoll instance, whose descriptor the event loop of the JavaScript thread
//! waits for. When it is readable, that thread calls [`turn`](Poller::turn) and reads them itself.
//!
//! Nothing here depends on the calling thread. While JavaScript is busy with a computation, the
//! runtime takes the turns (see [`WATCH_INTERVAL`]), so that pings are answered nevertheless. It
//! checks for this only while something arrives now and then, so an idle process has no timer.

use super::id_hasher::IdHasher;
use super::source::{PolledConnection, PolledListener};
use crate::events::runtime::{OwnedTask, spawn_owned};
use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Connections read in one turn. If more are ready, the descriptor stays readable.
const EVENTS_PER_TURN: usize = 256;
/// A single connection is read without asking the kernel which one is ready. While a listener may
/// also be ready, the kernel is asked after this many turns, or this many bytes.
const UNASKED_TURNS: u64 = 16;
const UNASKED_BYTES: u64 = 64 * 1024;
/// How often the runtime checks that the event loop still takes its turns. A peer that pings more
/// than four times in twice this interval may consider a blocked program dead.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// After this many looks in a row between which the event loop took no turn, the runtime waits
/// until there is something to read again.
const QUIET_LOOKS: u32 = 5;
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Marks the key of a listener; ids of connections do not have this bit.
const LISTENER: u64 = 1 << 63;

/// The quiet connections of one JavaScript environment, and its listeners.
///
/// They are watched level-triggered: the descriptor is readable exactly while one of them is. So a
/// connection that must not be read must not be watched.
pub struct Poller<C> {
    epoll: OwnedFd,
    connections: Mutex<HashMap<u64, Weak<C>, BuildHasherDefault<IdHasher>>>,
    listeners: Mutex<HashMap<u64, Weak<dyn PolledListener>>>,
    /// Turns taken by the event loop.
    turns: AtomicU64,
    /// Bytes that were read without asking which sources are ready. Each turn also counts as some
    /// bytes.
    unasked: AtomicU64,
    /// Takes turns instead of a blocked event loop.
    watch: Mutex<Option<OwnedTask>>,
}

impl<C> std::fmt::Debug for Poller<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("epoll", &self.epoll)
            .finish_non_exhaustive()
    }
}

impl<C: PolledConnection> Poller<C> {
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

    /// The descriptor to wait for. It is readable while there is a turn to take.
    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Watches a connection, unless it is watched already.
    pub(crate) fn add(self: &Arc<Self>, connection: &Arc<C>, fd: impl AsFd) -> io::Result<()> {
        let id = connection.id();
        let watched = {
            // Both happen under the lock, because a watched descriptor without its connection would
            // make the loop spin.
            let mut connections = self.connections.lock();
            connections.insert(id, Arc::downgrade(connection));
            self.watch_fd(fd, id)
        };
        self.watch();
        watched
    }

    /// Stops watching a connection.
    pub(crate) fn remove(&self, id: u64, fd: impl AsFd) {
        let mut connections = self.connections.lock();
        // Fails if the connection has never been added.
        let _ = epoll::delete(&self.epoll, fd);
        connections.remove(&id);
    }

    /// Watches a listener, unless it is watched already.
    pub(crate) fn add_listener<L: PolledListener>(
        &self,
        listener: &Arc<L>,
        fd: impl AsFd,
    ) -> io::Result<()> {
        let id = listener.id();
        let weak = Arc::downgrade(listener);
        self.listeners.lock().insert(id, weak);
        self.watch_fd(fd, LISTENER | id)
    }

    /// Stops watching a listener.
    pub(crate) fn remove_listener(&self, id: u64, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
        self.listeners.lock().remove(&id);
    }

    fn watch_fd(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        let data = EventData::new_u64(key);
        match epoll::add(&self.epoll, fd, data, EventFlags::IN | EventFlags::RDHUP) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the connections that are ready. The event loop's thread calls this when the descriptor
    /// is readable.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.read_ready();
    }

    fn read_ready(&self) {
        let now = Instant::now();
        let only = {
            let connections = self.connections.lock();
            let mut all = connections.values();
            all.next()
                .filter(|_| all.next().is_none())
                .and_then(Weak::upgrade)
        };
        let mut already_read = None;
        if let Some(only) = only {
            let before = only.bytes_received();
            if only.read_in_loop(1, now) {
                // If there is more, the descriptor stays readable.
                if self.need_not_ask(only.bytes_received() - before) {
                    return;
                }
                already_read = Some(only.id());
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
        // Listeners come first, because accepting is short and reading may be long.
        for (_, id) in keys().filter(|(is_listener, _)| *is_listener) {
            let listener = self.listeners.lock().get(&id).and_then(Weak::upgrade);
            if let Some(listener) = listener {
                listener.accept_in_loop();
            }
        }
        // The more connections are ready, the less each of them is read in this turn.
        let share = ready.len();
        // All are looked up before the first one is read: with hundreds of connections the
        // processor waits for the memory of several of them at once.
        let to_read: Vec<Arc<C>> = {
            let connections = self.connections.lock();
            keys()
                .filter(|(is_listener, id)| !is_listener && already_read != Some(*id))
                .filter_map(|(_, id)| connections.get(&id).and_then(Weak::upgrade))
                .collect()
        };
        for connection in to_read {
            connection.read_in_loop(share, now);
        }
    }

    /// Whether the turn is over after the only connection was read: not if a listener has waited
    /// for long enough.
    fn need_not_ask(&self, read: u64) -> bool {
        let unasked = read + UNASKED_BYTES / UNASKED_TURNS;
        if self.unasked.fetch_add(unasked, Ordering::Relaxed) + unasked < UNASKED_BYTES {
            return true;
        }
        self.unasked.store(0, Ordering::Relaxed);
        self.listeners.lock().is_empty()
    }

    /// Makes the runtime take turns instead of a blocked event loop from now on.
    fn watch(self: &Arc<Self>) {
        let mut watch = self.watch.lock();
        if watch.is_some() {
            return;
        }
        // A duplicate, because the task may outlive the poller for a moment.
        let task = self
            .epoll
            .try_clone()
            .and_then(|epoll| spawn_owned(Self::stand_in(Arc::downgrade(self), Arc::new(epoll))));
        // There is a connection, so there is a runtime. Without a descriptor, the next connection
        // tries again.
        *watch = task.ok();
    }

    async fn stand_in(poller: Weak<Self>, epoll: Arc<OwnedFd>) {
        let mut seen = 0;
        loop {
            readable(&epoll).await;
            let mut quiet = 0;
            while quiet < QUIET_LOOKS {
                tokio::time::sleep(WATCH_INTERVAL).await;
                let Some(poller) = poller.upgrade() else {
                    return;
                };
                let turns = poller.turns.load(Ordering::Relaxed);
                if turns != std::mem::replace(&mut seen, turns) {
                    quiet = 0;
                    continue;
                }
                quiet += 1;
                if !poller.connections.lock().is_empty() {
                    poller.read_ready();
                }
            }
        }
    }
}

/// Waits until a descriptor is readable. Then the runtime stops watching it, because each message
/// would wake the task. If the system has no room for it, there is no wait.
///
/// tokio deprecates the function in favour of an `unsafe` one, because an `AsRawFd` could return a
/// descriptor that other code closes. This one stays open while it is watched.
#[allow(deprecated)]
async fn readable(fd: &Arc<OwnedFd>) {
    if let Ok(watched) = AsyncFd::with_interest(Arc::clone(fd), Interest::READABLE) {
        let _ = watched.readable().await;
    }
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests {
    use super::Poller;
    use crate::connection::{Config, Connection, Environment, Event};
    use crate::endpoint::Listener;
    use crate::transport::{Address, ListenOptions, Listening};
    use std::io::Write;
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;

    /// The connections that were accepted since the last look.
    fn accepted(environment: &Environment) -> Vec<Arc<Connection>> {
        let mut accepted = Vec::new();
        while let Some(batch) = environment.take() {
            accepted.extend(batch.events.iter().filter_map(|event| match event {
                Event::Accepted { connection, .. } => Some(Arc::clone(connection)),
                _ => None,
            }));
            environment.queue().recycle(batch);
        }
        accepted
    }

    #[test]
    fn a_listener_has_its_turn_while_the_only_connection_always_has_something_to_say() {
        for frame in ["{}\n".to_string(), format!("{}\n", "x".repeat(100_000))] {
            let poller = Poller::new().unwrap();
            let environment = Environment::new(Box::new(|| {}), Some(Arc::clone(&poller)));
            let address = Address::Inet(SocketAddr::from(([127, 0, 0, 1], 0)));
            let config = Arc::new(Config::for_tests());
            let listener = Listener::listen(
                1,
                Listening::bind(&address, &ListenOptions::default()).unwrap(),
                config,
                Arc::clone(&environment),
                Arc::default(),
                None,
            )
            .unwrap();
            let Address::Inet(bound) = listener.address() else {
                panic!("a port was asked for");
            };
            let mut talker = TcpStream::connect(bound).unwrap();
            let mut connections = Vec::new();
            while connections.is_empty() {
                poller.turn();
                connections = accepted(&environment);
            }
            connections[0].start(false);
            let _other = TcpStream::connect(bound).unwrap();
            let turns = (1..100).find(|_| {
                talker.write_all(frame.as_bytes()).unwrap();
                let received = connections[0].counters().bytes_in;
                // Written bytes arrive after some time.
                while connections[0].counters().bytes_in == received {
                    poller.turn();
                }
                !accepted(&environment).is_empty()
            });
            assert!(turns.is_some_and(|turns| turns <= 16), "{turns:?}");
            environment.close();
        }
    }
}
