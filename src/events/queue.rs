//! What one JavaScript environment has yet to be told.
//!
//! Runtime threads append; the environment is woken once, however much is appended before it
//! looks; then it takes one [`Segment`] after the other. The text of many frames lies in one
//! buffer, so that it crosses the border as one string.
//!
//! Connections take turns. What comes is queued in the order of its arrival, but no more than a turn's worth
//! of one connection at a time: the rest waits beside the queue until that was taken. So a peer that floods
//! delays the others by its turn, and not by all that it has sent.

use crate::connection::Connection;
use crate::connection::receive_window::Gauge;
use crate::endpoint::listener::Listener;
use crate::endpoint::loopback::Listeners;
use crate::events::poller::Poller;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::transport::error::SystemError;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A segment is closed to further frames at this many bytes of text. With one more frame, which is
/// smaller than [`LARGE_FRAME`], it stays below the 128 KiB from which V8 gives a string pages of
/// its own: those cost several times what the text does.
const SEGMENT_BYTES: usize = 48 * 1024;
/// ... or this many frames.
pub const SEGMENT_FRAMES: usize = 4096;
/// ... or this many events.
pub const SEGMENT_EVENTS: usize = 1024;
/// A frame of this many bytes or more travels as a buffer of its own.
pub const LARGE_FRAME: usize = 64 * 1024;
/// Bytes over all connections that may wait for JavaScript before all readers stop.
const HIGH_WATER_MARK: usize = 32 << 20;
/// The longest turn, in units of [`cost`](Event::cost): about as much as a full segment.
const TURN: usize = 64 * 1024;
/// However many take turns, theirs are not shorter than this, unless JavaScript is slow.
const SHORT_TURN: usize = 16 * 1024;
/// A batch that took JavaScript so many of its slices of time was too long.
const SLOW_SLICES: u32 = 2;
/// Text that travels as a buffer of its own costs JavaScript less by the byte than small frames do.
const LARGE_DISCOUNT: usize = 4;
/// How often [`Mailbox::drain`] looks whether anything moves.
const DRAIN_LOOK: Duration = Duration::from_millis(1);
/// What a frame costs besides its bytes: a peer that sends nothing but terminators must meet a mark, too.
const OVERHEAD: usize = 32;
/// Emptied segments kept for reuse.
const SPARE_SEGMENTS: usize = 4;

/// What a frame, or a chunk of raw bytes, of `length` bytes counts against the marks.
pub(crate) const fn weight(length: usize) -> usize {
    length + OVERHEAD
}

/// Something JavaScript must be told. Events of one connection keep their order.
#[derive(Debug)]
pub enum Event {
    /// The next `count` frames of the segment's text.
    Frames {
        /// Whose.
        connection: Arc<Connection>,
        /// How many.
        count: u32,
        /// What they count against the marks.
        weight: usize,
    },
    /// One large frame.
    LargeFrame {
        /// Whose.
        connection: Arc<Connection>,
        /// Its text.
        bytes: Vec<u8>,
    },
    /// Bytes as they came, for a program that listens to `data`.
    Raw {
        /// Whose.
        connection: Arc<Connection>,
        /// What was read.
        bytes: Vec<u8>,
    },
    /// A frame over the limit; nothing more is read from this connection.
    TooLarge {
        /// Whose.
        connection: Arc<Connection>,
        /// `max_message_size`.
        limit: usize,
    },
    /// The peer ended its direction.
    Ended(Arc<Connection>),
    /// The connection is broken.
    Failed {
        /// Which.
        connection: Arc<Connection>,
        /// By what.
        error: SystemError,
    },
    /// Everything up to this place of the outgoing stream is with the kernel.
    Flushed {
        /// Of which connection.
        connection: Arc<Connection>,
        /// Bytes since the connection began, this package's and the program's.
        position: u64,
    },
    /// Four pings in a row were not answered.
    Dead(Arc<Connection>),
    /// What was sent to many is on its way, or its connection is gone, for every one of them.
    BroadcastDone(u64),
    /// A listener has a new connection, which does not read until told to.
    Accepted {
        /// Which listener.
        listener: u64,
        /// The connection.
        connection: Arc<Connection>,
    },
    /// A listener turned a connection away, because there are `max_connections`.
    Refused {
        /// Which listener.
        listener: u64,
        /// The two ends, of TCP: this one and the other.
        ends: Option<Box<(SocketAddr, SocketAddr)>>,
    },
    /// A listener could not accept; it tries again by itself.
    ListenerFailed {
        /// Which listener.
        listener: u64,
        /// Why.
        error: SystemError,
    },
    /// A client's attempt succeeded. The connection does not read until told to.
    Connected {
        /// Which client.
        client: u64,
        /// Which of its attempts.
        attempt: u32,
        /// The connection.
        connection: Arc<Connection>,
    },
    /// A client's attempt failed.
    ConnectFailed {
        /// Which client.
        client: u64,
        /// Which of its attempts.
        attempt: u32,
        /// Why: the place of each endpoint among the attempt's, and its error. None is the time-out.
        failures: Vec<(u32, SystemError)>,
    },
}

impl Event {
    /// The connection that this is about and that exists in JavaScript already.
    fn connection(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Frames { connection, .. }
            | Self::LargeFrame { connection, .. }
            | Self::Raw { connection, .. }
            | Self::TooLarge { connection, .. }
            | Self::Ended(connection)
            | Self::Failed { connection, .. }
            | Self::Flushed { connection, .. }
            | Self::Dead(connection) => Some(connection),
            Self::BroadcastDone(_)
            | Self::Accepted { .. }
            | Self::Refused { .. }
            | Self::ListenerFailed { .. }
            | Self::Connected { .. }
            | Self::ConnectFailed { .. } => None,
        }
    }

    /// What it counts against the marks.
    fn weight(&self) -> usize {
        match self {
            Self::Frames { weight, .. } => *weight,
            Self::LargeFrame { bytes, .. } | Self::Raw { bytes, .. } => weight(bytes.len()),
            _ => 0,
        }
    }

    /// How much of a turn it takes.
    fn cost(&self) -> usize {
        match self {
            Self::LargeFrame { .. } | Self::Raw { .. } => self.weight() / LARGE_DISCOUNT,
            _ => self.weight(),
        }
    }
}

/// How far a connection has come with its turn. Changes under the lock of its mailbox.
#[derive(Debug)]
pub(crate) struct Turn {
    /// What of it is in the queue, in units of [`cost`](Event::cost).
    queued: AtomicUsize,
    /// More of it waits beside the queue. Then something of it is in the queue, whose end brings the next turn.
    waits: AtomicBool,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            queued: AtomicUsize::new(0),
            waits: AtomicBool::new(false),
        }
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn set_queued(&self, amount: usize) {
        self.queued.store(amount, Ordering::Relaxed);
    }

    fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    fn set_waits(&self, on: bool) {
        self.waits.store(on, Ordering::Relaxed);
    }
}

/// A part of what is to be told: events in order, and the text of their frames.
#[derive(Debug, Default)]
pub struct Segment {
    /// The text of all small frames, one after the other.
    pub text: Vec<u8>,
    /// The length in bytes of each of these frames.
    pub lengths: Vec<u32>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What delivering it costs, in units of [`cost`](Event::cost).
    cost: usize,
}

impl Segment {
    fn is_full(&self) -> bool {
        self.text.len() >= SEGMENT_BYTES
            || self.lengths.len() >= SEGMENT_FRAMES
            || self.events.len() >= SEGMENT_EVENTS
    }

    fn clear(&mut self) {
        self.text.clear();
        self.lengths.clear();
        self.events.clear();
        self.cost = 0;
    }

    fn push(&mut self, event: Event) {
        self.cost += event.cost();
        self.events.push(event);
    }

    /// Appends frames of a connection, of which the text lies one behind the other.
    fn push_frames(&mut self, whose: &Arc<Connection>, text: &[u8], lengths: &[u32]) {
        let more = text.len() + lengths.len() * weight(0);
        self.text.extend_from_slice(text);
        self.lengths.extend_from_slice(lengths);
        self.cost += more;
        // A segment holds SEGMENT_FRAMES at most.
        #[allow(clippy::cast_possible_truncation)]
        let many = lengths.len() as u32;
        match self.events.last_mut() {
            Some(Event::Frames {
                connection,
                count,
                weight,
            }) if Arc::ptr_eq(connection, whose) => {
                *count += many;
                *weight += more;
            }
            _ => self.events.push(Event::Frames {
                connection: Arc::clone(whose),
                count: many,
                weight: more,
            }),
        }
    }

    fn has_room_for(&self, part: &Segment) -> bool {
        self.text.len() + part.text.len() <= SEGMENT_BYTES
            && self.cost + part.cost <= TURN
            && self.lengths.len() + part.lengths.len() <= SEGMENT_FRAMES
            && self.events.len() + part.events.len() <= SEGMENT_EVENTS
    }

    fn append(&mut self, part: &mut Segment) {
        self.text.append(&mut part.text);
        self.lengths.append(&mut part.lengths);
        self.events.append(&mut part.events);
        self.cost += std::mem::take(&mut part.cost);
    }

    /// How many of the frames with these lengths, at least one, fit here and into `room`; and their bytes.
    fn fitting(&self, lengths: &[u32], room: usize) -> (usize, usize) {
        let most = SEGMENT_FRAMES - self.lengths.len().min(SEGMENT_FRAMES);
        let space = SEGMENT_BYTES.saturating_sub(self.text.len());
        let mut bytes = 0;
        for (index, length) in lengths.iter().enumerate() {
            bytes += *length as usize;
            let count = index + 1;
            if count >= most || bytes >= space || bytes + count * weight(0) >= room {
                return (count, bytes);
            }
        }
        (lengths.len(), bytes)
    }

    /// Moves the first events to `part`, which is empty, and of the frames only so many, until they cost as
    /// much as `turn`.
    fn split_off_turn(&mut self, turn: usize, mut part: Segment) -> Segment {
        let mut taken = 0;
        let mut text = 0;
        let mut frames = 0;
        let mut rest = None;
        for event in &self.events {
            if part.cost >= turn {
                break;
            }
            let Event::Frames {
                connection, count, ..
            } = event
            else {
                taken += 1;
                part.cost += event.cost();
                continue;
            };
            let lengths = &self.lengths[frames..frames + *count as usize];
            let (fit, bytes) = part.fitting(lengths, turn - part.cost);
            part.cost += bytes + fit * weight(0);
            text += bytes;
            frames += fit;
            if fit < lengths.len() {
                rest = Some((Arc::clone(connection), fit, bytes));
                break;
            }
            taken += 1;
        }
        part.text.extend(self.text.drain(..text));
        part.lengths.extend(self.lengths.drain(..frames));
        part.events.extend(self.events.drain(..taken));
        if let (
            Some((connection, fit, bytes)),
            Some(Event::Frames {
                count,
                weight: left,
                ..
            }),
        ) = (rest, self.events.first_mut())
        {
            let weight = bytes + fit * weight(0);
            // A segment holds SEGMENT_FRAMES at most.
            #[allow(clippy::cast_possible_truncation)]
            let fit = fit as u32;
            *count -= fit;
            *left -= weight;
            part.events.push(Event::Frames {
                connection,
                count: fit,
                weight,
            });
        }
        self.cost -= part.cost;
        part
    }
}

/// The queue between the runtime and one JavaScript environment.
pub struct Mailbox {
    inner: Mutex<Inner>,
    /// Set while the environment is due to look and has not begun to.
    due: AtomicBool,
    /// What is in here, over all segments.
    gauge: Gauge,
    /// How long a turn is, in units of [`cost`](Event::cost): what JavaScript takes in one of its slices of time.
    turn: AtomicUsize,
    /// The cost of the segment taken last.
    taken: AtomicUsize,
    /// Wakes the environment, from any thread. The caller may hold locks, though not one of the mailbox: it must not
    /// come back here.
    wake: Box<dyn Fn() + Send + Sync>,
    /// Connections that report here, to wake stalled readers and to close what an environment
    /// leaves behind.
    connections: Mutex<HashMap<u64, Weak<Connection>>>,
    /// Listeners that report here, for clients that do, and to close what an environment leaves behind.
    listeners: Listeners<Listener>,
    /// The environment is gone: whatever comes is dropped.
    closed: AtomicBool,
    /// Where the environment's own event loop reads, if it can.
    poller: Option<Arc<Poller>>,
}

#[derive(Default)]
struct Inner {
    segments: VecDeque<Segment>,
    /// What waits for the next turns of its connection, which is the key by its address: it lives as long as
    /// something of it is here.
    waiting: HashMap<usize, VecDeque<Segment>>,
    spare: Vec<Segment>,
}

impl Inner {
    fn key(connection: &Arc<Connection>) -> usize {
        Arc::as_ptr(connection).addr()
    }

    /// How long a turn is, if a connection alone may have `longest`. With many that flood, a round of all of them
    /// takes about as long as four such turns.
    fn turn(&self, longest: usize) -> usize {
        (4 * longest / (self.waiting.len() + 1)).clamp(longest.min(SHORT_TURN), longest)
    }

    /// The segment to append to, of those that end with `segments`.
    fn open<'a>(segments: &'a mut VecDeque<Segment>, spare: &mut Vec<Segment>) -> &'a mut Segment {
        if segments.back().is_none_or(Segment::is_full) {
            segments.push_back(spare.pop().unwrap_or_default());
        }
        segments
            .back_mut()
            .expect("a segment was just made sure of")
    }

    /// Has `fill` append to a segment something of `connection`, knowing how much room is left in its turn.
    fn append_of<R>(
        &mut self,
        connection: &Arc<Connection>,
        longest: usize,
        fill: impl FnOnce(&mut Segment, usize) -> R,
    ) -> R {
        let turn = self.turn(longest);
        let state = connection.turn();
        let queued = state.queued();
        if !state.waits() && queued < turn {
            let segment = Self::open(&mut self.segments, &mut self.spare);
            let before = segment.cost;
            let result = fill(segment, turn - queued);
            state.set_queued(queued + segment.cost - before);
            return result;
        }
        state.set_waits(true);
        let waiting = self.waiting.entry(Self::key(connection)).or_default();
        if waiting.back().is_some_and(|last| last.cost >= turn) {
            waiting.push_back(self.spare.pop().unwrap_or_default());
        }
        let segment = Self::open(waiting, &mut self.spare);
        let room = turn.saturating_sub(segment.cost);
        fill(segment, room)
    }

    /// The next segment. Connections that had their turn with it get the next one, behind all others.
    fn take(&mut self, longest: usize) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        for event in &segment.events {
            if let Some(connection) = event.connection() {
                let state = connection.turn();
                state.set_queued(state.queued().saturating_sub(event.cost()));
                if state.waits() {
                    self.give_turn(connection, longest);
                }
            }
        }
        Some(segment)
    }

    fn give_turn(&mut self, connection: &Arc<Connection>, longest: usize) {
        let turn = self.turn(longest);
        let state = connection.turn();
        let key = Self::key(connection);
        while state.waits() && state.queued() == 0 {
            let waiting = self.waiting.entry(key).or_default();
            let mut part = match waiting.front_mut() {
                // It was closed when turns were longer.
                Some(front) if front.cost >= 2 * turn => {
                    let part = front.split_off_turn(turn, self.spare.pop().unwrap_or_default());
                    if front.events.is_empty() {
                        waiting.pop_front();
                    }
                    part
                }
                _ => waiting.pop_front().unwrap_or_default(),
            };
            if waiting.is_empty() {
                self.waiting.remove(&key);
                state.set_waits(false);
            }
            state.set_queued(part.cost);
            match self.segments.back_mut() {
                // Many short turns make one batch.
                Some(last) if last.has_room_for(&part) => {
                    last.append(&mut part);
                    self.keep(part);
                }
                _ => self.segments.push_back(part),
            }
        }
    }

    /// Takes back an emptied segment, whose memory serves again.
    fn keep(&mut self, mut segment: Segment) {
        segment.clear();
        if segment.text.capacity() <= 4 * SEGMENT_BYTES && self.spare.len() < SPARE_SEGMENTS {
            self.spare.push(segment);
        }
    }

    /// All there is, for the caller to drop without the lock.
    fn take_all(&mut self) -> (VecDeque<Segment>, HashMap<usize, VecDeque<Segment>>) {
        (
            std::mem::take(&mut self.segments),
            std::mem::take(&mut self.waiting),
        )
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("gauge", &self.gauge)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// A mailbox that calls `wake` when it is no longer empty. Quiet connections are read by the
    /// `poller`, if there is one, and all others by the runtime.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>, poller: Option<Arc<Poller>>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            due: AtomicBool::new(false),
            gauge: Gauge::new(),
            turn: AtomicUsize::new(TURN),
            taken: AtomicUsize::new(0),
            wake,
            connections: Mutex::default(),
            listeners: Listeners::new(),
            closed: AtomicBool::new(false),
            poller,
        })
    }

    /// Appends one event and wakes the environment if it is not already due.
    pub fn post(&self, event: Event) {
        self.append(|segments| segments.event(event));
    }

    /// Appends events that JavaScript is to find together.
    pub fn post_all(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.append(|segments| events.into_iter().for_each(|event| segments.event(event)));
        }
    }

    /// Appends through `fill` under one lock and wakes the environment if it is not already due.
    pub(crate) fn append<R>(&self, fill: impl FnOnce(&mut Appender<'_>) -> R) -> R {
        let mut inner = self.inner.lock();
        let mut appender = Appender {
            inner: &mut inner,
            turn: self.turn.load(Ordering::Relaxed),
            bytes: 0,
            appended: false,
        };
        let result = fill(&mut appender);
        let Appender {
            bytes, appended, ..
        } = appender;
        if self.closed.load(Ordering::Acquire) {
            let unwanted = inner.take_all();
            drop(inner);
            // Not under the lock: what goes with a connection may post.
            drop(unwanted);
            return result;
        }
        self.gauge.add(bytes);
        drop(inner);
        if appended && !self.due.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        result
    }

    /// The next segment, oldest first. The environment calls this until there is none.
    ///
    /// Give the segment back with [`recycle`](Self::recycle).
    pub fn take(&self) -> Option<Segment> {
        // Cleared before looking: whoever appends after the look wakes the environment again.
        self.due.store(false, Ordering::Release);
        let turn = self.turn.load(Ordering::Relaxed);
        let segment = self.inner.lock().take(turn)?;
        self.taken.store(segment.cost, Ordering::Relaxed);
        let mut bytes = 0;
        for event in &segment.events {
            let weight = event.weight();
            if let Some(connection) = event.connection().filter(|_| weight > 0) {
                bytes += weight;
                connection.taken(weight);
            }
        }
        if self.gauge.remove(bytes, HIGH_WATER_MARK) {
            self.wake_readers();
        }
        Some(segment)
    }

    /// JavaScript has delivered the segment taken last, and the program's timers had their turn so many times
    /// meanwhile. A turn is as long as that allows.
    pub fn delivered(&self, slices: u32) {
        let turn = self.turn.load(Ordering::Relaxed);
        if slices >= SLOW_SLICES {
            let fitting = self.taken.load(Ordering::Relaxed) / slices as usize;
            self.turn.store(fitting.clamp(1, turn), Ordering::Relaxed);
        } else if slices == 0 && turn < TURN {
            self.turn.store((2 * turn).min(TURN), Ordering::Relaxed);
        }
    }

    /// Where quiet connections are read.
    pub(crate) fn poller(&self) -> Option<&Arc<Poller>> {
        self.poller.as_ref()
    }

    /// Lets the environment's thread fill the mailbox by `fill` without being woken for it.
    /// Answers whether there is something to take.
    pub fn fill_awake(&self, fill: impl FnOnce()) -> bool {
        let was_due = self.due.swap(true, Ordering::AcqRel);
        fill();
        if !was_due {
            self.due.store(false, Ordering::Release);
        }
        // Whoever appended in between found the environment due, which it is: it looks now.
        !self.is_empty()
    }

    /// Whether there is anything to take.
    pub fn is_empty(&self) -> bool {
        self.inner.lock().segments.is_empty()
    }

    /// Takes back an emptied segment, whose memory serves again.
    pub fn recycle(&self, mut segment: Segment) {
        // Not under the lock: it may hold the last of a connection.
        segment.clear();
        self.inner.lock().keep(segment);
    }

    /// How much of one connection may wait here: half of what is free. However many peers flood, there is room
    /// for one that does not.
    pub(crate) fn share(&self) -> usize {
        HIGH_WATER_MARK.saturating_sub(self.gauge.amount()) / 2
    }

    /// Whether all readers must stop. A reader that heeds this is woken when they may go on.
    pub(crate) fn is_over_mark(&self) -> bool {
        self.gauge.must_stop(HIGH_WATER_MARK)
    }

    pub(crate) fn register(&self, connection: &Arc<Connection>) {
        self.connections
            .lock()
            .insert(connection.id(), Arc::downgrade(connection));
    }

    pub(crate) fn forget(&self, id: u64) {
        self.connections.lock().remove(&id);
    }

    fn wake_readers(&self) {
        for connection in self.open_connections() {
            connection.attend();
        }
    }

    /// In a list of their own, so that none is used, or dropped for the last time, under the lock.
    fn open_connections(&self) -> Vec<Arc<Connection>> {
        let connections = self.connections.lock();
        connections.values().filter_map(Weak::upgrade).collect()
    }

    /// The listeners that report here.
    pub(crate) fn listeners(&self) -> &Listeners<Listener> {
        &self.listeners
    }

    /// Ends everything that reports here: the environment is going away.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for listener in self.listeners.close() {
            listener.close();
        }
        for connection in self.open_connections() {
            connection.close();
        }
        let unwanted = self.inner.lock().take_all();
        drop(unwanted);
    }

    /// Waits until the kernel has all that was sent, as long as the peers take it: no longer than
    /// `patience` while nothing moves, and than `limit` in all.
    ///
    /// This blocks the calling thread. It is for a program that is about to exit; the runtime goes
    /// on writing meanwhile.
    pub fn drain(&self, patience: Duration, limit: Duration) {
        let began = Instant::now();
        let mut moved = began;
        let mut before = usize::MAX;
        loop {
            let queued = self
                .open_connections()
                .iter()
                .map(|connection| connection.queued())
                .sum();
            let now = Instant::now();
            if queued < before {
                moved = now;
                before = queued;
            }
            if queued == 0 || now - moved >= patience || now - began >= limit {
                return;
            }
            std::thread::sleep(DRAIN_LOOK);
        }
    }

    /// How many connections report here.
    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.connections.lock().len()
    }

    /// Whether the environment is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Appends to a mailbox while its lock is held.
pub(crate) struct Appender<'a> {
    inner: &'a mut Inner,
    turn: usize,
    bytes: usize,
    appended: bool,
}

impl Appender<'_> {
    pub(crate) fn event(&mut self, event: Event) {
        self.bytes += event.weight();
        self.appended = true;
        match event.connection().cloned() {
            Some(connection) => self
                .inner
                .append_of(&connection, self.turn, |segment, _| segment.push(event)),
            None => Inner::open(&mut self.inner.segments, &mut self.inner.spare).push(event),
        }
    }

    /// Frames below [`LARGE_FRAME`]: their text, one behind the other, and their lengths.
    pub(crate) fn frames(&mut self, connection: &Arc<Connection>, text: &[u8], lengths: &[u32]) {
        self.bytes += text.len() + lengths.len() * weight(0);
        self.appended = true;
        let (mut text, mut lengths) = (text, lengths);
        while !lengths.is_empty() {
            let (count, bytes) = self
                .inner
                .append_of(connection, self.turn, |segment, room| {
                    let (count, bytes) = segment.fitting(lengths, room);
                    segment.push_frames(connection, &text[..bytes], &lengths[..count]);
                    (count, bytes)
                });
            text = &text[bytes..];
            lengths = &lengths[count..];
        }
    }

    pub(crate) fn large_frame(&mut self, connection: &Arc<Connection>, bytes: Vec<u8>) {
        self.event(Event::LargeFrame {
            connection: Arc::clone(connection),
            bytes,
        });
    }
}
