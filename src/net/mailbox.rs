//! What one JavaScript environment has yet to be told.
//!
//! Runtime threads append; the environment is woken once, however much is appended before it
//! looks; then it takes one [`Segment`] after the other. The text of many frames lies in one
//! buffer, so that it crosses the border as one string.

use super::connection::Connection;
use super::error::SystemError;
use super::gauge::Gauge;
use super::listener::Listener;
use super::pairing::Listeners;
use super::poller::Poller;
use super::sync::{AtomicBool, Mutex, Ordering};
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
/// How often [`Mailbox::drain`] looks whether anything moves.
const DRAIN_LOOK: Duration = Duration::from_millis(1);
/// What a frame costs besides its bytes: a peer that sends nothing but terminators must meet a mark, too.
const OVERHEAD: usize = 32;
/// Emptied segments kept for reuse.
const SPARE_SEGMENTS: usize = 2;

/// What a frame, or a chunk of raw bytes, of `length` bytes counts against the marks.
pub(super) const fn weight(length: usize) -> usize {
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

/// A part of what is to be told: events in order, and the text of their frames.
#[derive(Debug, Default)]
pub struct Segment {
    /// The text of all small frames, one after the other.
    pub text: Vec<u8>,
    /// The length in bytes of each of these frames.
    pub lengths: Vec<u32>,
    /// What happened, in order.
    pub events: Vec<Event>,
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
    }
}

/// The queue between the runtime and one JavaScript environment.
pub struct Mailbox {
    inner: Mutex<Inner>,
    /// Set while the environment is due to look and has not begun to.
    due: AtomicBool,
    /// What is in here, over all segments.
    gauge: Gauge,
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
    spare: Vec<Segment>,
}

impl Inner {
    /// The segment to append to.
    fn open(&mut self) -> &mut Segment {
        if self.segments.back().is_none_or(Segment::is_full) {
            let segment = self.spare.pop().unwrap_or_default();
            self.segments.push_back(segment);
        }
        self.segments
            .back_mut()
            .expect("a segment was just made sure of")
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
    pub(super) fn append<R>(&self, fill: impl FnOnce(&mut Appender<'_>) -> R) -> R {
        let mut inner = self.inner.lock();
        let mut appender = Appender {
            inner: &mut inner,
            bytes: 0,
            appended: false,
        };
        let result = fill(&mut appender);
        let Appender {
            bytes, appended, ..
        } = appender;
        if self.closed.load(Ordering::Acquire) {
            let unwanted = std::mem::take(&mut inner.segments);
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
        let segment = self.inner.lock().segments.pop_front()?;
        let mut bytes = 0;
        let mut lengths = segment.lengths.iter();
        for event in &segment.events {
            match event {
                Event::Frames { connection, count } => {
                    let taken = lengths
                        .by_ref()
                        .take(*count as usize)
                        .map(|n| weight(*n as usize))
                        .sum();
                    bytes += taken;
                    connection.taken(taken);
                }
                Event::LargeFrame {
                    connection,
                    bytes: frame,
                } => {
                    bytes += weight(frame.len());
                    connection.taken(weight(frame.len()));
                }
                Event::Raw {
                    connection,
                    bytes: raw,
                } => {
                    bytes += weight(raw.len());
                    connection.taken(weight(raw.len()));
                }
                _ => {}
            }
        }
        if self.gauge.remove(bytes, HIGH_WATER_MARK) {
            self.wake_readers();
        }
        Some(segment)
    }

    /// Where quiet connections are read.
    pub(super) fn poller(&self) -> Option<&Arc<Poller>> {
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
        segment.clear();
        if segment.text.capacity() <= 4 * SEGMENT_BYTES {
            let mut inner = self.inner.lock();
            if inner.spare.len() < SPARE_SEGMENTS {
                inner.spare.push(segment);
            }
        }
    }

    /// Whether all readers must stop. A reader that heeds this is woken when they may go on.
    pub(super) fn is_over_mark(&self) -> bool {
        self.gauge.must_stop(HIGH_WATER_MARK)
    }

    pub(super) fn register(&self, connection: &Arc<Connection>) {
        self.connections
            .lock()
            .insert(connection.id(), Arc::downgrade(connection));
    }

    pub(super) fn forget(&self, id: u64) {
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
    pub(super) fn listeners(&self) -> &Listeners<Listener> {
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
        let unwanted = std::mem::take(&mut self.inner.lock().segments);
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
    pub(super) fn known(&self) -> usize {
        self.connections.lock().len()
    }

    /// Whether the environment is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Appends to a mailbox while its lock is held.
pub(super) struct Appender<'a> {
    inner: &'a mut Inner,
    bytes: usize,
    appended: bool,
}

impl Appender<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.bytes += match &event {
            Event::LargeFrame { bytes, .. } | Event::Raw { bytes, .. } => weight(bytes.len()),
            _ => 0,
        };
        self.appended = true;
        self.inner.open().events.push(event);
    }

    pub(super) fn frame(&mut self, connection: &Arc<Connection>, frame: &[u8]) {
        self.bytes += weight(frame.len());
        self.appended = true;
        let segment = self.inner.open();
        segment.text.extend_from_slice(frame);
        // Only frames below LARGE_FRAME come here.
        #[allow(clippy::cast_possible_truncation)]
        segment.lengths.push(frame.len() as u32);
        match segment.events.last_mut() {
            Some(Event::Frames {
                connection: last,
                count,
            }) if Arc::ptr_eq(last, connection) => *count += 1,
            _ => segment.events.push(Event::Frames {
                connection: Arc::clone(connection),
                count: 1,
            }),
        }
    }

    pub(super) fn large_frame(&mut self, connection: &Arc<Connection>, bytes: Vec<u8>) {
        self.event(Event::LargeFrame {
            connection: Arc::clone(connection),
            bytes,
        });
    }
}
