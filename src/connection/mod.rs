//! One connection with one peer.
//!
//! ```text
//! Connection         its state and its settings (this file)
//!   read             receives bytes, cuts them into frames, posts them
//!   write            sends bytes
//!   ping             sends pings and judges the answers
//!   close            ends it
//!   broadcast        takes the broadcasts of its server
//!   task             waits for its socket on the runtime
//! reader_state       which thread reads, and whether a task is running
//! reader_policy      which thread should read, by the traffic
//! broadcast_log      broadcasts that wait for the connections of a server
//! completion         reports when all connections have sent a broadcast
//! send_queue         bytes that wait for the kernel, in order
//! linger             reads a closed connection a little longer, for the peer to get all bytes
//! heartbeat          the pings that were sent, and their answers
//! config             the options of a connection
//! ```
//!
//! A connection has at most one task on the runtime, which waits for its socket. A connection that
//! the poller reads, and that has nothing left to send, has none. Reading and writing are plain
//! functions under short locks, which the runtime, the poller and the thread that calls `send()`
//! can run.

mod broadcast;
pub(crate) mod broadcast_log;
mod close;
pub(crate) mod completion;
pub mod config;
pub mod heartbeat;
pub(crate) mod linger;
mod ping;
mod read;
mod reader_policy;
pub(crate) mod reader_state;
pub mod send_queue;
mod task;
mod write;

#[cfg(all(test, sockhop_loom))]
pub(crate) mod loom;
#[cfg(all(test, not(sockhop_loom)))]
mod tests;

pub use config::{Config, Marks, SlowConsumer};

use crate::events::environment;
use crate::events::event;
use crate::events::queue::Turn;
use crate::events::receive_window::ReceiveWindow;
use crate::events::runtime;
use crate::protocol::MixedFramer;
use crate::trace;
use crate::transport::{Address, Credentials, Stream};
use completion::CompletionGuard;
use heartbeat::Heartbeat;
use parking_lot::Mutex;
use reader_policy::TrafficStats;
use reader_state::{ReadState, ReaderKind, ReaderState};
use send_queue::SendQueue;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// The id of the next connection. In a debug build, ids soon need more than 32 bits, so that tests
/// cover such ids.
pub(crate) static NEXT_ID: AtomicU64 = AtomicU64::new(if cfg!(debug_assertions) {
    (1 << 32) - 4
} else {
    1
});

/// The environment that a connection reports to.
pub type Environment = environment::Environment<Connection>;

/// An event of a connection or listener.
pub type Event = event::Event<Connection>;

/// The incoming direction.
struct Reader {
    /// `None` once the connection is closed.
    stream: Option<Arc<Stream>>,
    framer: MixedFramer,
    stats: TrafficStats,
    /// While the connection is read before it is started: the bytes handed over so far. Boxed, because
    /// each idle connection has this field.
    early_bytes: Option<Box<u64>>,
    /// The last read contained many pings.
    many_pings: bool,
}

/// The result of [`Connection::write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The kernel has all of them, and all bytes before them.
    Written,
    /// They wait; [`Event::Flushed`](crate::events::event::Event::Flushed) will report this
    /// position.
    Waiting(u64),
    /// Too many bytes wait already, and the policy is to refuse.
    Refused,
    /// The connection is closed, broken, or its sending direction has ended.
    Closed,
}

/// The counters of one connection since it began.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counters {
    /// Bytes read from the socket.
    pub bytes_in: u64,
    /// Bytes given to the kernel.
    pub bytes_out: u64,
    /// Bytes waiting to be sent.
    pub queued: u64,
    /// Broadcasts that were refused because the peer reads too slowly.
    pub refused: u64,
    /// Received bytes that JavaScript has not taken.
    pub unread: u64,
    /// The event loop reads the connection, and not a thread of the runtime.
    pub in_loop: bool,
}

/// The addresses of both ends of a connection.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The local address.
    pub local: Option<Address>,
    /// The address of the peer.
    pub peer: Option<Address>,
}

/// The addresses of a connection. Most are those of IPv4, which take 16 bytes here and 64 as
/// [`Addresses`].
enum Ends {
    V4 {
        local: SocketAddrV4,
        peer: SocketAddrV4,
    },
    Other(Box<Addresses>),
}

impl Ends {
    fn of(stream: &Stream) -> Self {
        match (stream.local_address(), stream.peer_address()) {
            (
                Some(Address::Inet(SocketAddr::V4(local))),
                Some(Address::Inet(SocketAddr::V4(peer))),
            ) => Self::V4 { local, peer },
            (local, peer) => Self::Other(Box::new(Addresses { local, peer })),
        }
    }

    fn addresses(&self) -> Addresses {
        match self {
            Self::V4 { local, peer } => Addresses {
                local: Some(Address::Inet(SocketAddr::V4(*local))),
                peer: Some(Address::Inet(SocketAddr::V4(*peer))),
            },
            Self::Other(addresses) => Addresses::clone(addresses),
        }
    }
}

/// One connection: posts received frames to the event queue, sends bytes, ends in order.
pub struct Connection {
    id: u64,
    config: Arc<Config>,
    environment: Arc<Environment>,
    ends: Ends,
    reader: Mutex<Reader>,
    send_queue: Mutex<SendQueue>,
    /// Which thread reads, and whether a task is running.
    reader_state: ReaderState,
    /// The number of writes, by which the reader distinguishes a dialogue from traffic without
    /// answers.
    writes: AtomicU32,
    /// The program listens to raw bytes.
    raw: AtomicBool,
    /// Pings and pongs are handed over like other frames, and JavaScript answers them.
    show_control: AtomicBool,
    /// Only raw bytes are handed over; JavaScript finds the frames.
    bytes_only: AtomicBool,
    /// The peer ended its direction and sends no more.
    peer_ended: AtomicBool,
    /// The end of the connection was reported, as `Ended` or `Failed`.
    end_reported: AtomicBool,
    /// An event reported that the connection broke, or no further event may report it.
    break_reported: AtomicBool,
    /// Received bytes that JavaScript has not taken.
    unread: ReceiveWindow,
    /// How many of them are in the event queue, and whether more wait beside it.
    turn: Turn,
    /// Broadcasts that were refused because the peer reads too slowly.
    refused: AtomicU64,
    bytes_in: AtomicU64,
    /// The bytes of pings and pongs among `bytes_in`.
    control_bytes: AtomicU64,
    /// When bytes were last received, or last sent by other code than the program, in milliseconds
    /// since `began`.
    last_activity: AtomicU64,
    began: Instant,
    /// Present once the program has sent a ping.
    heartbeat: Mutex<Option<Box<Heartbeat>>>,
    /// The other end, if it is in this process.
    loopback_peer: OnceLock<Weak<Connection>>,
    /// Counts this connection as open at its listener, until it closes.
    permit: Mutex<Option<CompletionGuard>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("read_state", &self.reader_state.read_state())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Like `open`, for the fuzz target of the connection, which brings its own stream.
    #[cfg(fuzzing)]
    pub fn over(stream: Stream, config: Config, environment: &Arc<Environment>) -> Arc<Self> {
        Self::open(stream, Arc::new(config), Arc::clone(environment), None)
    }

    /// Takes over a connected stream. Nothing is read before [`start`](Self::start). A task is
    /// started when the poller does not read the stream, or when something must wait for the
    /// socket.
    pub(crate) fn open(
        stream: Stream,
        config: Arc<Config>,
        environment: Arc<Environment>,
        permit: Option<CompletionGuard>,
    ) -> Arc<Self> {
        let stream = Arc::new(stream);
        let ends = Ends::of(&stream);
        let framer = MixedFramer::new(config.receive_terminator.clone(), config.max_message_size);
        // The runtime's threads decrypt, until it turns out that there is little to decrypt. Also,
        // the kernel does not announce data that came with the handshake, because TLS has already
        // buffered it.
        let reads_in = if environment.poller().is_some() && !stream.is_secure() {
            ReaderKind::Loop
        } else {
            ReaderKind::Runtime
        };
        let show_control = config.show_control;
        let connection = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            config,
            environment,
            ends,
            reader: Mutex::new(Reader {
                stream: Some(Arc::clone(&stream)),
                framer,
                stats: TrafficStats::default(),
                early_bytes: None,
                many_pings: false,
            }),
            send_queue: Mutex::new(SendQueue::new(Arc::clone(&stream))),
            reader_state: ReaderState::new(reads_in),
            writes: AtomicU32::new(0),
            raw: AtomicBool::new(false),
            show_control: AtomicBool::new(show_control),
            bytes_only: AtomicBool::new(false),
            peer_ended: AtomicBool::new(false),
            end_reported: AtomicBool::new(false),
            break_reported: AtomicBool::new(false),
            unread: ReceiveWindow::new(),
            turn: Turn::new(),
            refused: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            control_bytes: AtomicU64::new(0),
            last_activity: AtomicU64::new(0),
            began: Instant::now(),
            heartbeat: Mutex::new(None),
            loopback_peer: OnceLock::new(),
            permit: Mutex::new(permit),
        });
        trace::event!(DEBUG, id = connection.id, peer = ?connection.addresses().peer, "connection opened");
        connection.environment.register(&connection);
        if connection.environment.is_closed() {
            connection.close();
        }
        connection
    }

    /// Unique in the process, and never reused, so that bytes read from one peer cannot reach the
    /// session of another. JavaScript counts exactly up to 2^53, which takes centuries to reach.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The addresses of both ends.
    pub fn addresses(&self) -> Addresses {
        self.ends.addresses()
    }

    /// The process at the other end of a Unix socket; `None` for TCP and for a closed connection.
    pub fn peer_credentials(&self) -> Option<Credentials> {
        let runtime = runtime::start().ok()?;
        let _context = runtime.enter();
        self.with_stream(Stream::peer_credentials)?.ok()
    }

    /// Begins to read, unless the program has paused the connection already. Returns whether the
    /// other end is in this environment as well. In that case the bytes sent so far are read on
    /// both ends at once, so that the program gets them before its timers run.
    pub fn start(self: &Arc<Self>, paused: bool) -> bool {
        let read_state = if paused {
            ReadState::Paused
        } else {
            ReadState::Flowing
        };
        self.reader_state
            .change_read_state(self, ReadState::Held, read_state);
        let within = self.loopback_peer.get().is_some();
        if within {
            self.read_remaining();
            self.read_loopback_peer();
        }
        within
    }

    /// Reads once before the connection is started, for a program that wants raw bytes: they are
    /// handed over as they are, and no frame is cut from them.
    pub fn read_early(self: &Arc<Self>) {
        self.reader.lock().early_bytes.get_or_insert_default();
        self.reader_state
            .change_read_state(self, ReadState::Held, ReadState::Flowing);
    }

    /// Ends early reading; [`start`](Self::start) comes next. Returns how many bytes were handed
    /// over. The last of them may still be in the queue.
    pub fn stop_early(self: &Arc<Self>) -> u64 {
        // The lock keeps the reader out.
        let mut reader = self.reader.lock();
        self.reader_state
            .change_read_state(self, ReadState::Flowing, ReadState::Held);
        self.reader_state
            .change_read_state(self, ReadState::Paused, ReadState::Held);
        reader.early_bytes.take().map_or(0, |bytes| *bytes)
    }

    /// Takes the beginning of a frame that was read before the connection was started.
    pub fn begin_frame(&self, bytes: &[u8]) {
        // It contains no whole frame, and another framer has checked its length, so there is
        // nothing to report.
        let _ = self.reader.lock().framer.push(bytes, &mut |_| {});
    }

    /// Accepts binary frames, once the peer has announced them. The program has offered them.
    pub fn offer_binary(&self) {
        self.reader.lock().framer.offer_binary();
    }

    /// Hands over raw bytes and no frames once the peer has said that it sends no more binary
    /// frames. From then on only the program reads.
    pub fn expect_bytes(self: &Arc<Self>) {
        let mut reader = self.reader.lock();
        let pending = reader.framer.expect_bytes();
        if !pending.is_empty() {
            self.post_raw(&pending);
        }
    }

    /// Stops reading; pings of the peer are not answered meanwhile.
    pub fn pause(self: &Arc<Self>) {
        self.reader_state
            .change_read_state(self, ReadState::Flowing, ReadState::Paused);
    }

    /// Continues to read after [`pause`](Self::pause).
    pub fn resume(self: &Arc<Self>) {
        self.reader_state
            .change_read_state(self, ReadState::Paused, ReadState::Flowing);
    }

    /// Whether raw bytes are handed over in addition to frames.
    pub fn set_raw(&self, on: bool) {
        self.raw.store(on, Ordering::Release);
    }

    /// Hands over raw bytes in addition to frames from now on. A first raw event separates the
    /// frames that were read before from those whose bytes follow; it has the beginning of the next
    /// frame.
    pub fn begin_raw(self: &Arc<Self>) {
        // The lock keeps the reader out.
        let reader = self.reader.lock();
        self.raw.store(true, Ordering::Release);
        self.post_raw(reader.framer.pending());
    }

    /// Whether pings and pongs are handed over as frames. The configuration may also demand this.
    pub fn set_show_control(&self, on: bool) {
        let on = on || self.config.show_control;
        self.show_control.store(on, Ordering::Release);
    }

    /// Hands over raw bytes and no frames, for a program that finds frames itself. Call it before
    /// [`start`](Self::start): bytes of a frame that has begun are not handed over again.
    pub fn set_bytes_only(&self) {
        self.bytes_only.store(true, Ordering::Release);
    }

    /// The counters.
    pub fn counters(self: &Arc<Self>) -> Counters {
        let send_queue = self.lock_send_queue();
        Counters {
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: send_queue.written(),
            queued: send_queue.queued() as u64,
            refused: self.refused.load(Ordering::Relaxed),
            unread: self.unread.amount() as u64,
            in_loop: self.reader_state.kind() == ReaderKind::Loop,
        }
    }

    /// The number of writes.
    #[cfg(all(test, not(sockhop_loom)))]
    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn note_activity(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        self.last_activity
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time since bytes were last received, or last sent by other code than the program.
    pub fn silence(&self) -> Duration {
        let active = Duration::from_millis(self.last_activity.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(active)
    }

    /// Calls `f` with the stream, unless the connection is closed.
    pub fn with_stream<R>(&self, f: impl FnOnce(&Stream) -> R) -> Option<R> {
        let stream = self.reader.lock().stream.clone();
        stream.map(|stream| f(&stream))
    }

    pub(crate) fn set_loopback_peer(self: &Arc<Self>, loopback_peer: &Arc<Self>) {
        let _ = self.loopback_peer.set(Arc::downgrade(loopback_peer));
        let _ = loopback_peer.loopback_peer.set(Arc::downgrade(self));
    }

    /// Whether the other end is also in this process, and not closed.
    pub fn has_loopback_peer(&self) -> bool {
        let loopback_peer = self.loopback_peer.get().and_then(Weak::upgrade);
        loopback_peer.is_some_and(|loopback_peer| loopback_peer.reader.lock().stream.is_some())
    }
}
