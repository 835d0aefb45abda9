//! One connection with one peer.

pub mod config;
pub mod heartbeat;
pub(crate) mod linger;
mod reader_policy;
pub(crate) mod reader_state;
pub mod send_queue;

#[cfg(all(test, sockhop_loom))]
pub(crate) mod loom;
#[cfg(all(test, not(sockhop_loom)))]
mod tests;

pub use config::{Config, SlowConsumer};

use crate::events::environment::{self, Member};
use crate::events::event::{self, LARGE_FRAME, queued_cost};
use crate::events::poller::PolledConnection;
use crate::events::queue::{Source, Turn};
use crate::events::receive_window::ReceiveWindow;
use crate::events::runtime;
use crate::protocol::{self, Control, Frame, Framer, PingBody};
use crate::transport::error::SystemError;
use crate::transport::socket::{READ_SIZE, watch};
use crate::transport::{Address, Outgoing, Stream, StreamFd};
use bytes::Bytes;
use heartbeat::{Heartbeat, HeartbeatAction, Ping, Progress, now_ms};
use linger::LingerLimits;
use parking_lot::Mutex;
use reader_policy::TrafficStats;
use reader_state::{ReadState, ReaderKind, ReaderOps, ReaderState};
use send_queue::{CompletionGuard, SendQueue};
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// Bytes read for one connection before others get their turn.
const READ_BUDGET: usize = 8 * READ_SIZE;
/// How many times a broken connection is read, a budget each: more than any kernel keeps of what the peer
/// said, and an end for a peer that goes on talking.
const LAST_READS: usize = 64;
/// How long these reads wait for a program that does not take what was read, and how often they look.
const LAST_WAIT: Duration = Duration::from_secs(30);
const LAST_LOOK: Duration = Duration::from_millis(2);
/// Answers to pings are not queued beyond this for a peer that does not read them.
const PONG_LIMIT: usize = 64 * 1024;
/// So many bytes of them leave in one write.
const PONGS_AT_ONCE: usize = PONG_LIMIT / 2;
/// What a ping takes of the budget besides its bytes: reading and answering it takes as long as reading so many.
const PING_COST: usize = 1024;
/// After a read that brought so many pings, the next asks for no more than so many bytes, which may be pings, too.
const MANY_PINGS: usize = 64;
const CAREFUL_READ: usize = 16 * 1024;

/// The id of the next connection. In a debug build the ids soon need more than 32 bits, so that tests see such ids.
pub(crate) static NEXT_ID: AtomicU64 = AtomicU64::new(if cfg!(debug_assertions) {
    (1 << 32) - 4
} else {
    1
});

thread_local! {
    /// A connection borrows these while there is data, and holds no buffer of its own.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; READ_SIZE],
        text: Vec::new(),
        lengths: Vec::new(),
    });
}

struct Scratch {
    input: Vec<u8>,
    text: Vec<u8>,
    lengths: Vec<u32>,
}

/// The incoming direction.
struct Reader {
    /// `None` once the connection is closed.
    stream: Option<Arc<Stream>>,
    framer: Framer,
    stats: TrafficStats,
    /// Bytes that were handed over before the connection was started, while it may be read so.
    early: Option<u64>,
    /// The last read brought many pings.
    careful: bool,
}

/// Why [`Connection::read`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadStop {
    /// The kernel has no more for now.
    Drained,
    /// Others should get their turn.
    Budget,
    /// The connection is not to be read now; there may be more in the kernel.
    Stopped,
}

/// What became of bytes given to [`Connection::write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The kernel has all of them, and all before them.
    Written,
    /// They wait; [`Event::Flushed`] will tell of this position.
    Waiting(u64),
    /// Too much waits already, and the policy is to refuse.
    Refused,
    /// The connection is closed, broken, or ended on this side.
    Closed,
}

/// Counters of one connection since it began.
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
}

/// How a connection is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseMode {
    /// FIN behind what the kernel has.
    Graceful,
    /// With a reset.
    Reset,
    /// Not at all: a duplicate of the descriptor lives on.
    Detach,
}

/// Where the two ends of a connection are.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// This end.
    pub local: Option<Address>,
    /// The other.
    pub peer: Option<Address>,
}

/// The environment that a connection reports to.
pub type Environment = environment::Environment<Connection>;
/// An event of a connection or listener.
pub type Event = event::Event<Connection>;

/// One connection: reads frames into the mailbox, writes what it is given, ends in order.
pub struct Connection {
    id: u64,
    config: Arc<Config>,
    environment: Arc<Environment>,
    addresses: Addresses,
    reader: Mutex<Reader>,
    send_queue: Mutex<SendQueue>,
    /// Who reads, and who waits.
    reader_state: ReaderState,
    /// Writes so far, for the reader to tell a dialogue from what nobody answers.
    writes: AtomicU32,
    /// The program listens to raw bytes.
    raw: AtomicBool,
    /// Pings and pongs are frames like all others: JavaScript answers them.
    show_control: AtomicBool,
    /// JavaScript finds the frames itself.
    bytes_only: AtomicBool,
    /// The peer ended its direction: nothing is to be expected of it.
    peer_ended: AtomicBool,
    /// The end of the connection was reported, as `Ended` or `Failed`.
    end_reported: AtomicBool,
    /// What is in the mailbox and JavaScript has not taken.
    unread: ReceiveWindow,
    /// What of that is queued, and what waits beside the queue.
    turn: Turn,
    /// Broadcasts that were refused because the peer reads too slowly.
    refused: AtomicU64,
    bytes_in: AtomicU64,
    /// Of those, pings and pongs.
    control_bytes: AtomicU64,
    /// When bytes came, or left without the program's doing, in milliseconds since the connection began.
    active: AtomicU64,
    began: Instant,
    /// Only while somebody pings.
    heartbeat: Mutex<Option<Box<Heartbeat>>>,
    /// The other end, where that is in this very process.
    loopback_peer: OnceLock<Weak<Connection>>,
    /// Counts this connection among its listener's open ones until it closes.
    permit: Mutex<Option<CompletionGuard>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("flow", &self.reader_state.read_state())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// As `open`, for the fuzz target of the connection, which brings a stream of its own.
    #[cfg(fuzzing)]
    pub fn over(stream: Stream, config: Config, environment: &Arc<Environment>) -> Arc<Self> {
        Self::open(stream, Arc::new(config), Arc::clone(environment), None)
    }

    /// Takes over a connected stream. Nothing is read before [`start`](Self::start); a task is started when
    /// the poller does not read the stream, or when there is something to wait for.
    pub(crate) fn open(
        stream: Stream,
        config: Arc<Config>,
        environment: Arc<Environment>,
        permit: Option<CompletionGuard>,
    ) -> Arc<Self> {
        let stream = Arc::new(stream);
        let addresses = Addresses {
            local: stream.local_address(),
            peer: stream.peer_address(),
        };
        let framer = Framer::new(config.receive_terminator.clone(), config.max_message_size);
        // Opening and sealing records is work for the runtime's threads, until it turns out to be little. What came
        // with the handshake is with TLS already, and the kernel will not announce it.
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
            addresses,
            reader: Mutex::new(Reader {
                stream: Some(Arc::clone(&stream)),
                framer,
                stats: TrafficStats::default(),
                early: None,
                careful: false,
            }),
            send_queue: Mutex::new(SendQueue::new(Arc::clone(&stream))),
            reader_state: ReaderState::new(reads_in),
            writes: AtomicU32::new(0),
            raw: AtomicBool::new(false),
            show_control: AtomicBool::new(show_control),
            bytes_only: AtomicBool::new(false),
            peer_ended: AtomicBool::new(false),
            end_reported: AtomicBool::new(false),
            unread: ReceiveWindow::new(),
            turn: Turn::new(),
            refused: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            control_bytes: AtomicU64::new(0),
            active: AtomicU64::new(0),
            began: Instant::now(),
            heartbeat: Mutex::new(None),
            loopback_peer: OnceLock::new(),
            permit: Mutex::new(permit),
        });
        connection.environment.register(&connection);
        if connection.environment.is_closed() {
            connection.close();
        }
        connection
    }

    /// No other connection of the process has it, or had it before: what was read from one peer can never reach the
    /// session of another. JavaScript counts up to 2^53, which takes some centuries.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where the two ends are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    // ---- incoming -------------------------------------------------------------------------

    /// Begins to read: the program knows of the connection now, and may have paused it already. Answers whether the
    /// other end is in this environment, too: then what each end has to say to the other is read already, and the
    /// program learns of it before its timers have their turn.
    pub fn start(self: &Arc<Self>, paused: bool) -> bool {
        let flow = if paused {
            ReadState::Paused
        } else {
            ReadState::Flowing
        };
        self.reader_state
            .change_read_state(self, ReadState::Held, flow);
        let within = self.loopback_peer.get().is_some();
        if within {
            self.read_rest();
            self.read_loopback_peer();
        }
        within
    }

    /// Reads once, for the program alone, a connection that has not been started: what comes is handed over as it
    /// is, and no frame is cut from it.
    pub fn read_early(self: &Arc<Self>) {
        self.reader.lock().early.get_or_insert(0);
        self.reader_state
            .change_read_state(self, ReadState::Held, ReadState::Flowing);
    }

    /// Reads no more for the program alone; [`start`](Self::start) is what comes next. Answers how many bytes have
    /// been handed over: the last of them may be in the mailbox yet.
    pub fn stop_early(self: &Arc<Self>) -> u64 {
        // Nobody reads meanwhile.
        let mut reader = self.reader.lock();
        self.reader_state
            .change_read_state(self, ReadState::Flowing, ReadState::Held);
        self.reader_state
            .change_read_state(self, ReadState::Paused, ReadState::Held);
        reader.early.take().unwrap_or(0)
    }

    /// Takes the beginning of a frame, which was read before the connection was started.
    pub fn begin_frame(&self, bytes: &[u8]) {
        // It is as long as another framer let it be, and has no end: there is nothing to tell.
        let _ = self.reader.lock().framer.push(bytes, &mut |_| {});
    }

    /// Stops reading; pings of the peer go unanswered.
    pub fn pause(self: &Arc<Self>) {
        self.reader_state
            .change_read_state(self, ReadState::Flowing, ReadState::Paused);
    }

    /// Reads again.
    pub fn resume(self: &Arc<Self>) {
        self.reader_state
            .change_read_state(self, ReadState::Paused, ReadState::Flowing);
    }

    /// Hands over raw bytes, too, from now on (or no more).
    pub fn set_raw(&self, on: bool) {
        self.raw.store(on, Ordering::Release);
    }

    /// Hands over pings and pongs as frames from now on, if they are not in any case (or no more).
    pub fn set_show_control(&self, on: bool) {
        let on = on || self.config.show_control;
        self.show_control.store(on, Ordering::Release);
    }

    /// Hands over bytes only, for a program that finds its frames itself: from the first byte on if this is
    /// called before [`start`](Self::start). Bytes of a frame that has begun are not to be had again.
    pub fn set_bytes_only(&self) {
        self.bytes_only.store(true, Ordering::Release);
    }

    /// How much of it may wait for JavaScript: less where others have filled the mailbox.
    fn mark(&self) -> usize {
        let mark = self.config.receive_high_water_mark;
        mark.min(self.environment.queue().share())
    }

    /// Whether the reader must wait for JavaScript. A reader that heeds this is woken.
    fn is_backpressured(&self) -> bool {
        self.unread.must_stop(self.mark()) || self.environment.queue().is_over_mark()
    }

    /// Reads and hands over what the kernel has, up to a budget.
    fn read(self: &Arc<Self>) -> ReadStop {
        self.read_up_to(READ_BUDGET)
    }

    fn read_up_to(self: &Arc<Self>, budget: usize) -> ReadStop {
        let mut reader = self.reader.lock();
        let Some(stream) = reader.stream.clone() else {
            return ReadStop::Stopped;
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut budget = budget;
            loop {
                if self.reader_state.read_state() != ReadState::Flowing || self.is_backpressured() {
                    return ReadStop::Stopped;
                }
                let most = if reader.careful {
                    CAREFUL_READ
                } else {
                    READ_SIZE
                };
                match stream.recv(&mut scratch.input[..most]) {
                    Ok(0) => {
                        self.peer_ended.store(true, Ordering::Release);
                        self.end_of_input(None);
                        return ReadStop::Stopped;
                    }
                    Ok(count) if reader.early.is_some() => {
                        reader.early = reader.early.map(|before| before + count as u64);
                        self.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
                        self.post_raw(&scratch.input[..count]);
                        // Once: the program says when it has room for more.
                        self.reader_state.change_read_state(
                            self,
                            ReadState::Flowing,
                            ReadState::Held,
                        );
                        return ReadStop::Stopped;
                    }
                    Ok(count) => {
                        let pings = self.receive(&mut reader.framer, scratch, count);
                        reader.careful = pings >= MANY_PINGS;
                        let writes = self.writes.load(Ordering::Relaxed);
                        let now = Instant::now();
                        reader.stats.add(now, count, writes);
                        self.active(now);
                        if count < most && !stream.has_buffered() {
                            return ReadStop::Drained;
                        }
                        budget = budget.saturating_sub(count + pings * PING_COST);
                        if budget == 0 {
                            return ReadStop::Budget;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return ReadStop::Drained;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        // With TLS also after much of which nothing came.
                        budget = budget.saturating_sub(READ_SIZE);
                        if budget == 0 {
                            return ReadStop::Budget;
                        }
                    }
                    Err(error) => {
                        self.end_of_input(Some(SystemError::new("read", &error)));
                        return ReadStop::Stopped;
                    }
                }
            }
        })
    }

    /// Frames `count` bytes of the scratch input and posts what came of it. Answers how many pings were in it.
    fn receive(
        self: &Arc<Self>,
        framer: &mut Framer,
        scratch: &mut Scratch,
        count: usize,
    ) -> usize {
        self.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
        let Scratch {
            input,
            text,
            lengths,
        } = scratch;
        let input = &input[..count];
        if self.bytes_only.load(Ordering::Acquire) {
            self.post_raw(input);
            return 0;
        }
        let show_control = self.show_control.load(Ordering::Acquire);
        let mut pings = Vec::new();
        let result = framer.push(input, &mut |frame: Frame<'_>| {
            if !show_control && let Some(control) = protocol::control(frame.as_bytes()) {
                let terminator = self.config.receive_terminator.as_bytes();
                let length = frame.as_bytes().len() + terminator.len();
                self.control_bytes
                    .fetch_add(length as u64, Ordering::Relaxed);
                match control {
                    Control::Ping(ping) => pings.push(ping),
                    Control::Pong(pong) => self.answered(&pong),
                }
                return;
            }
            if frame.as_bytes().len() < LARGE_FRAME {
                text.extend_from_slice(frame.as_bytes());
                // Below LARGE_FRAME, so it fits.
                #[allow(clippy::cast_possible_truncation)]
                lengths.push(frame.as_bytes().len() as u32);
            } else {
                self.post_frames(text, lengths);
                let bytes = frame.into_vec();
                self.unread.add(queued_cost(bytes.len()));
                self.environment
                    .queue()
                    .append(|queue| queue.large_frame(self, bytes));
            }
        });
        self.post_frames(text, lengths);
        if self.raw.load(Ordering::Acquire) {
            self.post_raw(input);
        }
        self.answer_pings(&pings);
        if let Err(error) = result {
            self.reader_state.stop();
            self.environment.post(Event::TooLarge {
                connection: Arc::clone(self),
                limit: error.limit,
            });
        }
        pings.len()
    }

    fn post_raw(self: &Arc<Self>, bytes: &[u8]) {
        self.unread.add(queued_cost(bytes.len()));
        self.environment.post(Event::Raw {
            connection: Arc::clone(self),
            bytes: bytes.to_vec(),
        });
    }

    /// Moves the gathered small frames into the mailbox.
    fn post_frames(self: &Arc<Self>, text: &mut Vec<u8>, lengths: &mut Vec<u32>) {
        if lengths.is_empty() {
            return;
        }
        self.unread.add(text.len() + lengths.len() * queued_cost(0));
        self.environment
            .queue()
            .append(|queue| queue.frames(self, text, lengths));
        text.clear();
        lengths.clear();
        if text.capacity() > 4 * READ_SIZE {
            *text = Vec::new();
        }
    }

    /// Answers the pings of one read, in as few writes as the limit allows.
    fn answer_pings(self: &Arc<Self>, pings: &[PingBody]) {
        if pings.is_empty() {
            return;
        }
        let now = now_ms();
        let mut pongs = Vec::with_capacity((192 * pings.len()).min(PONGS_AT_ONCE));
        for (place, ping) in (1..).zip(pings) {
            protocol::write_pong(
                &mut pongs,
                ping,
                now,
                &self.config.transmit_terminator,
                self.config.bare,
            );
            if pongs.len() < PONGS_AT_ONCE && place < pings.len() {
                continue;
            }
            self.write_control(&pongs);
            pongs.clear();
        }
    }

    /// The peer ended, or the connection broke: tells the program, once.
    fn end_of_input(self: &Arc<Self>, error: Option<SystemError>) {
        self.reader_state.stop();
        if self.end_reported.swap(true, Ordering::AcqRel) {
            return;
        }
        let connection = Arc::clone(self);
        self.environment.post(match error {
            None => Event::Ended(connection),
            Some(error) => Event::Failed { connection, error },
        });
    }

    // ---- outgoing -------------------------------------------------------------------------

    /// Sends bytes: at once if the kernel takes them, otherwise behind what already waits.
    pub fn write(self: &Arc<Self>, bytes: &[u8]) -> WriteOutcome {
        self.write_with(bytes, Bytes::copy_from_slice)
    }

    /// As [`write`](Self::write), for a part of what the program writes by itself: where such a part is missing, what
    /// follows is worth nothing, so it is never left out for a slow consumer.
    pub fn write_part(self: &Arc<Self>, bytes: &[u8]) -> WriteOutcome {
        let mut send_queue = self.send_queue.lock();
        if send_queue.is_open() && self.config.slow_consumer == SlowConsumer::Drop {
            return self.write_open(&mut send_queue, bytes, Bytes::copy_from_slice);
        }
        self.write_locked(&mut send_queue, bytes, Bytes::copy_from_slice)
    }

    /// Sends a ping or a pong, unless too much waits already. It stays out of what the program is in the midst of.
    fn write_control(self: &Arc<Self>, frame: &[u8]) {
        let mut send_queue = self.send_queue.lock();
        self.active(Instant::now());
        if !send_queue.keep(frame, PONG_LIMIT) && send_queue.queued() <= PONG_LIMIT {
            self.write_locked(&mut send_queue, frame, Bytes::copy_from_slice);
        }
    }

    /// Says that the program is in the midst of writing bytes of its own, or no longer is: meanwhile pings, pongs and
    /// broadcasts must not come in between.
    pub fn hold(self: &Arc<Self>, on: bool) {
        let mut send_queue = self.send_queue.lock();
        if on {
            send_queue.hold();
            return;
        }
        let kept = send_queue.release();
        if !kept.is_empty() {
            self.write_locked(&mut send_queue, &kept, Bytes::copy_from_slice);
        }
    }

    /// How many bytes wait for the kernel, and the position that [`Event::Flushed`] will tell of when it has them.
    pub fn waiting(self: &Arc<Self>) -> (usize, u64) {
        let mut send_queue = self.send_queue.lock();
        let position = send_queue.wait();
        if position.is_some() {
            self.wake_task();
        }
        (send_queue.queued(), position.unwrap_or(0))
    }

    /// As [`write`](Self::write), for a buffer that need not be copied if it has to wait.
    pub fn write_owned(self: &Arc<Self>, bytes: Vec<u8>) -> WriteOutcome {
        let mut send_queue = self.send_queue.lock();
        let bytes = Bytes::from(bytes);
        self.write_locked(&mut send_queue, &bytes, |rest| bytes.slice_ref(rest))
    }

    fn write_with(
        self: &Arc<Self>,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        let mut send_queue = self.send_queue.lock();
        self.write_locked(&mut send_queue, bytes, keep)
    }

    fn write_locked(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        if !send_queue.is_open() {
            return WriteOutcome::Closed;
        }
        if send_queue.queued() >= self.config.send_high_water_mark {
            match self.config.slow_consumer {
                SlowConsumer::Wait => {}
                SlowConsumer::Drop => return WriteOutcome::Refused,
                SlowConsumer::Disconnect => {
                    self.break_off(send_queue, None);
                    return WriteOutcome::Refused;
                }
            }
        }
        self.write_open(send_queue, bytes, keep)
    }

    fn write_open(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        self.writes.fetch_add(1, Ordering::Relaxed);
        match send_queue.write(bytes, keep) {
            Ok(None) => WriteOutcome::Written,
            Ok(Some(position)) => {
                self.wake_task();
                WriteOutcome::Waiting(position)
            }
            Err(error) => {
                self.break_off(send_queue, Some(SystemError::new("write", &error)));
                WriteOutcome::Closed
            }
        }
    }

    /// Appends to the send queue without writing: the fan-out flushes many at once. Answers whether
    /// somebody must [`flush`](Self::flush). Where the program is in the midst of writing bytes of its own, the
    /// message is its own affair, too.
    pub(crate) fn enqueue(self: &Arc<Self>, bytes: &Bytes, guard: &CompletionGuard) -> bool {
        let mut send_queue = self.send_queue.lock();
        if !send_queue.is_open() || send_queue.is_held() {
            return false;
        }
        if send_queue.queued() >= self.config.send_high_water_mark {
            match self.config.slow_consumer {
                SlowConsumer::Wait => {}
                SlowConsumer::Drop => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                SlowConsumer::Disconnect => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    self.break_off(&mut send_queue, None);
                    return false;
                }
            }
        }
        let idle = !send_queue.is_pending();
        send_queue.push(bytes.clone(), Some(Arc::clone(guard)));
        idle
    }

    /// Writes what waits, as far as the kernel takes it; the task does the rest.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut send_queue = self.send_queue.lock();
        let (result, reported) = send_queue.progress();
        match result {
            Ok(()) => {
                if send_queue.is_pending() {
                    self.wake_task();
                }
            }
            Err(error) => self.break_off(&mut send_queue, Some(SystemError::new("write", &error))),
        }
        drop(send_queue);
        if let Some(position) = reported {
            self.environment.post(Event::Flushed {
                connection: Arc::clone(self),
                position,
            });
        }
    }

    /// Ends this direction: FIN behind everything sent so far. Answers as [`write`](Self::write)
    /// does.
    pub fn end(self: &Arc<Self>) -> WriteOutcome {
        let mut send_queue = self.send_queue.lock();
        if !send_queue.is_open() {
            return WriteOutcome::Closed;
        }
        match send_queue.end() {
            Ok(None) => {
                drop(send_queue);
                self.read_loopback_peer();
                WriteOutcome::Written
            }
            Ok(Some(position)) => {
                self.wake_task();
                WriteOutcome::Waiting(position)
            }
            Err(error) => {
                // The peer is gone already, and so is what it could have been reported.
                self.break_off(&mut send_queue, Some(SystemError::new("shutdown", &error)));
                WriteOutcome::Closed
            }
        }
    }

    /// The connection cannot be written any more. What the peer managed to say before that is
    /// still read, then the program is reported.
    fn break_off(self: &Arc<Self>, send_queue: &mut SendQueue, error: Option<SystemError>) {
        send_queue.close();
        let connection = Arc::clone(self);
        let began = Instant::now();
        // Not here: the caller holds the send queue.
        let _ = runtime::spawn(async move {
            let mut reads = 0;
            // A peer that is cut off has said enough.
            while error.is_some() && reads < LAST_READS && began.elapsed() < LAST_WAIT {
                match connection.read() {
                    ReadStop::Budget => {
                        reads += 1;
                        tokio::task::yield_now().await;
                    }
                    ReadStop::Stopped
                        if connection.reader_state.read_state() == ReadState::Flowing =>
                    {
                        tokio::time::sleep(LAST_LOOK).await;
                    }
                    ReadStop::Stopped | ReadStop::Drained => break,
                }
            }
            connection.end_of_input(Some(error.unwrap_or(SystemError {
                errno: 0,
                syscall: "write",
            })));
            connection.wake_task();
        });
    }

    // ---- heartbeat -------------------------------------------------------------------------

    /// The beat of the ping timer.
    pub fn beat(self: &Arc<Self>) {
        if let Some(frame) = self.due_ping() {
            self.write_control(&frame);
        }
    }

    /// The frame of the ping that is due at a beat, which counts as sent. Nothing if the peer has not read the
    /// pings before, or is dead: then an event tells of it.
    pub fn due_ping(self: &Arc<Self>) -> Option<Vec<u8>> {
        let flow = self.reader_state.read_state();
        if matches!(flow, ReadState::Held | ReadState::Over) {
            return None;
        }
        // The answers may be waiting behind what this program has not taken, or not even read yet. Of one that
        // paused the socket nobody knows when it will read: to it the peer is dead, as to the JavaScript package.
        let behind = flow == ReadState::Flowing && (self.unread.is_stopped() || self.is_behind());
        // Before the lock of the pings, which a reader takes.
        let held = self.with_stream(Stream::send_buffer).unwrap_or_default();
        let mut heartbeat = self.heartbeat.lock();
        let heartbeat = heartbeat.get_or_insert_default();
        if behind {
            heartbeat.clear();
        }
        // A part of a ping may have come from the program, and another is counted by a reader in between.
        let control = self.control_bytes.load(Ordering::Relaxed);
        let received = self.bytes_in.load(Ordering::Relaxed);
        let progress = {
            let send_queue = self.send_queue.lock();
            Progress {
                received: received.saturating_sub(control),
                sent: send_queue.written(),
                waiting: send_queue.queued() > 0,
                held,
            }
        };
        match heartbeat.beat(&self.config, progress) {
            HeartbeatAction::Send(frame) => {
                (self.send_queue.lock().queued() <= PONG_LIMIT).then_some(frame)
            }
            HeartbeatAction::Dead => {
                self.environment.post(Event::Dead(Arc::clone(self)));
                None
            }
        }
    }

    /// Whether something of the peer waits in the kernel, or is being read just now.
    fn is_behind(&self) -> bool {
        self.reader.try_lock().is_none_or(|reader| {
            let stream = reader.stream.as_ref();
            stream.is_some_and(|stream| stream.has_waiting())
        })
    }

    /// Forgets the pings sent so far.
    pub fn clear_pings(&self) {
        if let Some(heartbeat) = self.heartbeat.lock().as_mut() {
            heartbeat.clear();
        }
    }

    /// The pings sent of late, oldest first.
    pub fn pings(&self) -> Vec<Ping> {
        self.heartbeat
            .lock()
            .as_ref()
            .map(|heartbeat| heartbeat.pings().cloned().collect())
            .unwrap_or_default()
    }

    /// The last measured round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.heartbeat
            .lock()
            .as_ref()
            .and_then(|heartbeat| heartbeat.round_trip())
    }

    /// A pong that JavaScript has read, where frames are shown to it.
    pub fn answered(&self, pong: &PingBody) {
        if let Some(heartbeat) = self.heartbeat.lock().as_mut() {
            heartbeat.answered(pong);
        }
    }

    // ---- state ----------------------------------------------------------------------------

    /// The counters.
    pub fn counters(&self) -> Counters {
        let send_queue = self.send_queue.lock();
        Counters {
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: send_queue.written(),
            queued: send_queue.queued() as u64,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// How often something was written.
    #[cfg(test)]
    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    fn active(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        self.active
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// JavaScript keeps `amount` of what it took for the program: it counts as unread until
    /// [`give_back`](Self::give_back).
    pub fn retain(&self, amount: usize) {
        self.unread.add(amount);
    }

    /// The program took `amount` of what was retained.
    pub fn give_back(self: &Arc<Self>, amount: usize) {
        self.release(amount);
    }

    /// How long nothing came, and nothing left but what the program sent.
    pub fn silence(&self) -> Duration {
        let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(active)
    }

    /// Runs `f` on the stream, if the connection still has one.
    pub fn with_stream<R>(&self, f: impl FnOnce(&Stream) -> R) -> Option<R> {
        let stream = self.reader.lock().stream.clone();
        stream.map(|stream| f(&stream))
    }

    pub(crate) fn set_loopback_peer(self: &Arc<Self>, loopback_peer: &Arc<Self>) {
        let _ = self.loopback_peer.set(Arc::downgrade(loopback_peer));
        let _ = loopback_peer.loopback_peer.set(Arc::downgrade(self));
    }

    /// Whether the other end is in this process, too, and not closed.
    pub fn has_loopback_peer(&self) -> bool {
        let loopback_peer = self.loopback_peer.get().and_then(Weak::upgrade);
        loopback_peer.is_some_and(|loopback_peer| loopback_peer.reader.lock().stream.is_some())
    }

    /// Where both ends are in one process, the other end learns of this one's end before
    /// anything that the program does next.
    fn read_loopback_peer(&self) {
        if let Some(loopback_peer) = self.loopback_peer.get().and_then(Weak::upgrade) {
            loopback_peer.read_rest();
        }
    }

    /// Reads what a peer that says no more has said.
    fn read_rest(self: &Arc<Self>) {
        // A bound all the same: this is the event loop's thread, and the reader goes on by itself.
        for _ in 0..LAST_READS {
            if self.read() != ReadStop::Budget {
                return;
            }
        }
    }

    /// Closes the connection: FIN behind what the kernel has; what it does not have is given up.
    pub fn close(self: &Arc<Self>) {
        self.shut(CloseMode::Graceful);
    }

    /// Closes the connection with a reset.
    pub fn reset(self: &Arc<Self>) {
        self.shut(CloseMode::Reset);
    }

    /// Lets go of the connection and does not end it: a duplicate of its descriptor lives on. Answers whether it did
    /// so: not with TLS, whose state is here, and not while something waits to be sent.
    pub fn detach(self: &Arc<Self>) -> bool {
        let ready = !self.send_queue.lock().is_pending()
            && self
                .with_stream(|stream| !stream.is_secure())
                .unwrap_or(false);
        if ready {
            self.shut(CloseMode::Detach);
        }
        ready
    }

    fn shut(self: &Arc<Self>, mode: CloseMode) {
        self.reader_state.stop();
        self.end_reported.store(true, Ordering::Release);
        let (sent, ended, taken) = {
            let mut send_queue = self.send_queue.lock();
            if mode == CloseMode::Graceful {
                // What was sent to all may wait for nothing but its turn. Nobody is reported how far this goes.
                let _ = send_queue.progress();
            }
            (
                send_queue.written() > 0,
                send_queue.has_ended(),
                send_queue.close(),
            )
        };
        {
            let mut reader = self.reader.lock();
            if let Some(stream) = reader.stream.take() {
                // The descriptor is still open: the stream is dropped behind this.
                if let Some(poller) = self.environment.poller() {
                    poller.remove(self.id, &stream);
                }
            }
            reader.framer.clear();
        }
        self.permit.lock().take();
        if let Some((stream, _)) = taken {
            if mode == CloseMode::Reset {
                stream.reset_on_close();
            } else if mode == CloseMode::Graceful
                && stream.finish().is_ok()
                && sent
                && !self.peer_ended.load(Ordering::Acquire)
            {
                let patience = if ended {
                    LingerLimits::LONG
                } else {
                    LingerLimits::SHORT
                };
                linger::start(stream, patience);
            }
        }
        self.environment.forget(self.id);
        self.reader_state.close();
        self.read_loopback_peer();
    }

    // ---- who reads ------------------------------------------------------------------------

    /// Reads on the event loop's thread (or, while that is blocked, in its stead). Answers whether
    /// there was anything to read. `share`: how many connections there are to read in this turn.
    fn read_in_turn(self: &Arc<Self>, share: usize) -> bool {
        if self.reader_state.kind() != ReaderKind::Loop {
            self.reader_state.stop_watching(self);
            return false;
        }
        let before = self.bytes_in.load(Ordering::Relaxed);
        let stop = self.read_up_to(READ_BUDGET / share);
        let leaves = {
            let mut reader = self.reader.lock();
            let leaves = reader.stream.as_ref().is_some_and(|stream| {
                // What TLS holds back, in either direction, the kernel will not announce.
                let holds = stream.has_buffered() || !stream.is_flushed();
                holds || (reader.stats.is_for_runtime(is_read_beside(stream)) && may_switch())
            });
            if leaves {
                reader.stats = TrafficStats::default();
            }
            leaves
        };
        if leaves {
            self.reader_state.move_to_runtime(self);
        } else if stop == ReadStop::Stopped {
            self.reader_state.stop_watching(self);
        }
        self.bytes_in.load(Ordering::Relaxed) != before || stop == ReadStop::Stopped
    }

    fn wake_task(self: &Arc<Self>) {
        self.reader_state.wake_task(self);
    }

    /// The task: waits for what the connection can use, until it is closed, or only the poller
    /// can use it.
    async fn run(self: Arc<Self>, stream: Arc<Stream>) {
        let mut watched: Option<(Interest, AsyncFd<StreamFd>)> = None;
        loop {
            if self.reader_state.is_closed() {
                return;
            }
            if self.reader_state.is_idle(&self) {
                // Before anybody else may watch the descriptor.
                watched = None;
                if self.reader_state.try_park(&self) {
                    return;
                }
                // Closing it may be what came up, and whoever closed it saw no task.
                continue;
            }
            let here = self.reader_state.kind() == ReaderKind::Runtime;
            let reads = here
                && self.reader_state.read_state() == ReadState::Flowing
                && !self.is_backpressured();
            if reads && stream.has_buffered() {
                // The kernel has reported of this already, or will not tell of it.
                self.read();
                tokio::task::yield_now().await;
                continue;
            }
            let writes = self.send_queue.lock().is_pending();
            let interest = match (here, writes) {
                (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, false) => Some(Interest::READABLE),
                (false, true) => Some(Interest::WRITABLE),
                (false, false) => None,
            };
            if interest != watched.as_ref().map(|(interest, _)| *interest) {
                // The old registration goes before the new one comes: one a descriptor.
                watched = None;
                if let Some(interest) = interest {
                    match watch(StreamFd(Arc::clone(&stream)), interest) {
                        Ok(fd) => watched = Some((interest, fd)),
                        Err(error) => {
                            // The program closes it.
                            self.end_of_input(Some(SystemError::new("read", &error)));
                            return;
                        }
                    }
                }
            }
            let fd = watched.as_ref().map(|(_, fd)| fd);
            tokio::select! {
                biased;
                () = self.reader_state.wake().notified() => {}
                ready = when(fd, Interest::WRITABLE), if writes => {
                    let Ok(mut ready) = ready else { return };
                    self.flush();
                    self.active(Instant::now());
                    if self.send_queue.lock().is_pending() {
                        ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
                    }
                }
                ready = when(fd, Interest::READABLE), if reads => {
                    let Ok(mut ready) = ready else { return };
                    match self.read() {
                        ReadStop::Drained => ready.clear_ready_matching(tokio::io::Ready::READABLE),
                        ReadStop::Budget => tokio::task::yield_now().await,
                        ReadStop::Stopped => {}
                    }
                    drop(ready);
                    if self.environment.poller().is_some()
                        && !stream.has_buffered()
                        && stream.is_flushed()
                        && self.reader.lock().stats.is_for_loop(is_read_beside(&stream))
                        && may_switch()
                    {
                        watched = None;
                        self.reader.lock().stats = TrafficStats::default();
                        self.reader_state.move_to_loop(&self);
                    }
                }
            }
        }
    }
}

impl Source for Connection {
    fn turn(&self) -> &Turn {
        &self.turn
    }

    fn release(self: &Arc<Self>, amount: usize) {
        if self.unread.remove(amount, self.mark()) {
            self.resume_reading();
        }
    }
}

impl PolledConnection for Connection {
    fn id(&self) -> u64 {
        self.id
    }

    fn bytes_received(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    fn read_in_loop(self: &Arc<Self>, share: usize) -> bool {
        self.read_in_turn(share)
    }
}

impl Member for Connection {
    fn resume_reading(self: &Arc<Self>) {
        self.reader_state.resume_reading(self);
    }

    fn queued(&self) -> usize {
        self.send_queue.lock().queued()
    }

    fn close(self: &Arc<Self>) {
        self.shut(CloseMode::Graceful);
    }
}

impl ReaderOps for Arc<Connection> {
    type Stream = Arc<Stream>;

    fn stream(&self) -> Option<Arc<Stream>> {
        self.reader.lock().stream.clone()
    }

    fn watch(&self, stream: &Arc<Stream>) -> bool {
        self.environment
            .poller()
            .is_some_and(|poller| poller.add(self, stream).is_ok())
    }

    fn unwatch(&self, stream: &Arc<Stream>) {
        if let Some(poller) = self.environment.poller() {
            poller.remove(self.id, stream);
        }
    }

    fn is_pending(&self) -> bool {
        self.send_queue.lock().is_pending()
    }

    fn is_backpressured(&self) -> bool {
        Connection::is_backpressured(self)
    }

    fn start_task(&self) {
        // Not here: the caller may hold the reader, or the send queue, which whoever holds the reader waits for.
        let connection = Self::clone(self);
        // Whoever listened or connected has started the runtime.
        let _ = runtime::spawn(async move {
            if let Some(stream) = connection.stream() {
                let _fault = TellsOfFault(Self::clone(&connection));
                connection.run(stream).await;
            }
        });
    }
}

/// Ends a connection whose task has a fault and panics, so that the program learns of it.
struct TellsOfFault(Arc<Connection>);

impl Drop for TellsOfFault {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end_of_input(Some(SystemError {
                errno: 0,
                syscall: "read",
            }));
        }
    }
}

async fn when(
    fd: Option<&AsyncFd<StreamFd>>,
    interest: Interest,
) -> io::Result<AsyncFdReadyGuard<'_, StreamFd>> {
    match fd {
        Some(fd) => fd.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// Whether bulk is better read beside JavaScript: where it has to be deciphered, or there is a processor for it. With
/// two, of which the other end may have one, the hop costs more than it gains.
fn is_read_beside(stream: &Stream) -> bool {
    static SPARE: OnceLock<bool> = OnceLock::new();
    let spare = || std::thread::available_parallelism().is_ok_and(|count| count.get() > 2);
    stream.is_secure() || *SPARE.get_or_init(spare)
}

/// Whether readers may change places: not where `SOCKHOP_READER=loop` holds them to one.
fn may_switch() -> bool {
    static FIXED: OnceLock<bool> = OnceLock::new();
    !*FIXED.get_or_init(|| std::env::var_os("SOCKHOP_READER").is_some_and(|place| place == "loop"))
}
