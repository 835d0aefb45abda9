//! The queue of events for one JavaScript environment.
//!
//! Any thread appends. The environment is woken once, regardless of how much is appended before it
//! looks. Then it takes one [`EventBatch`] after the other.
//!
//! Connections take turns. Events are queued in the order of their arrival, but at most one turn of
//! each connection is in the queue at a time; the rest waits beside it. So a peer that floods
//! delays the others by one turn, and not by everything that it has sent.

use super::batch::{EventBatch, FrameLength, MAX_BATCH_BYTES, MAX_TURN};
use super::event::{Event, queued_cost};
use super::receive_window::ReceiveWindow;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// All readers stop when this many bytes, over all connections, wait for JavaScript.
const HIGH_WATER_MARK: usize = 32 << 20;
/// Turns do not get shorter than this because many connections take turns, but only because
/// JavaScript is slow. Two of them fill a batch; shorter ones would be copied to share it.
const MIN_SHARED_TURN: usize = 32 * 1024;
/// A batch that took JavaScript this many slices of time was too long.
const SLOW_SLICES: u32 = 2;
/// The number of emptied batches that are kept for reuse while nothing is queued.
const SPARE_BATCHES: usize = 16;
/// The number that is kept during a flood, in which each connection fills dozens of batches before
/// it is stopped.
const FLOOD_SPARE_BATCHES: usize = 512;

/// A connection, as the queue of its events needs it.
pub trait Source {
    /// The connection's turn at the queue.
    fn turn(&self) -> &Turn;

    /// JavaScript took events with a cost of `amount` out of the queue.
    fn release(self: &Arc<Self>, amount: usize);
}

/// The state of a connection's turn. It changes under the lock of the queue.
#[derive(Debug)]
pub struct Turn {
    /// The cost of the connection's events in the queue, in units of [`Event::turn_cost`].
    queued: AtomicUsize,
    /// More events wait beside the queue. Then at least one is in the queue, and the end of those
    /// brings the next turn.
    waiting: AtomicBool,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            queued: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
        }
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn set_queued(&self, amount: usize) {
        self.queued.store(amount, Ordering::Relaxed);
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waiting(&self, on: bool) {
        self.waiting.store(on, Ordering::Relaxed);
    }
}

/// The queue between the threads that read connections and one JavaScript environment. `C` is the
/// connection type.
pub struct EventQueue<C> {
    batches: Mutex<Batches<C>>,
    /// Set while the environment has been woken and has not looked yet.
    woken: AtomicBool,
    /// The bytes in the queue, over all batches.
    window: ReceiveWindow,
    /// The length of a turn, in units of [`Event::turn_cost`]: as much as JavaScript delivers in
    /// one of its slices of time.
    turn: AtomicUsize,
    /// The cost of the batch taken last.
    last_cost: AtomicUsize,
    /// Wakes the environment, from any thread. The caller may hold locks, but none of this queue,
    /// and the function must not call back into it.
    wake: Box<dyn Fn() + Send + Sync>,
    /// The environment has ended: further events are dropped.
    closed: AtomicBool,
}

struct Batches<C> {
    queued: VecDeque<EventBatch<C>>,
    /// Events that wait for later turns of their connection. The key is the connection's address,
    /// which stays valid because its events own it.
    waiting: HashMap<usize, VecDeque<EventBatch<C>>>,
    spare: Vec<EventBatch<C>>,
}

/// All batches of a queue, for the caller to drop after it has released the lock.
type AllBatches<C> = (
    VecDeque<EventBatch<C>>,
    HashMap<usize, VecDeque<EventBatch<C>>>,
);

impl<C> Default for Batches<C> {
    fn default() -> Self {
        Self {
            queued: VecDeque::new(),
            waiting: HashMap::new(),
            spare: Vec::new(),
        }
    }
}

impl<C: Source> Batches<C> {
    fn key(connection: &Arc<C>) -> usize {
        Arc::as_ptr(connection).addr()
    }

    /// The length of a turn, if a single connection may have `longest`. A round of four to eight
    /// flooding connections takes about as long as four such turns.
    fn turn(&self, longest: usize) -> usize {
        (4 * longest / (self.waiting.len() + 1)).clamp(longest.min(MIN_SHARED_TURN), longest)
    }

    /// The last of `batches` that has room, appended if necessary.
    fn open<'a>(
        batches: &'a mut VecDeque<EventBatch<C>>,
        spare: &mut Vec<EventBatch<C>>,
    ) -> &'a mut EventBatch<C> {
        if batches.back().is_none_or(EventBatch::is_full) {
            batches.push_back(spare.pop().unwrap_or_default());
        }
        batches.back_mut().expect("a batch was just appended")
    }

    /// Calls `fill` with the batch that takes the next events of `connection`, and the room that is
    /// left in its turn.
    fn append_of<R>(
        &mut self,
        connection: &Arc<C>,
        longest: usize,
        fill: impl FnOnce(&mut EventBatch<C>, usize) -> R,
    ) -> R {
        let turn = self.turn(longest);
        let state = connection.turn();
        let queued = state.queued();
        if !state.is_waiting() && queued < turn {
            let batch = Self::open(&mut self.queued, &mut self.spare);
            let before = batch.cost();
            let result = fill(batch, turn - queued);
            state.set_queued(queued + batch.cost() - before);
            return result;
        }
        state.set_waiting(true);
        let waiting = self.waiting.entry(Self::key(connection)).or_default();
        if waiting.back().is_some_and(|last| last.cost() >= turn) {
            waiting.push_back(self.spare.pop().unwrap_or_default());
        }
        let batch = Self::open(waiting, &mut self.spare);
        let room = turn.saturating_sub(batch.cost());
        fill(batch, room)
    }

    /// The next batch. A connection whose turn ends with it gets its next turn, after all others.
    fn take(&mut self, longest: usize) -> Option<EventBatch<C>> {
        let batch = self.queued.pop_front()?;
        for event in &batch.events {
            if let Some(connection) = event.connection() {
                let state = connection.turn();
                state.set_queued(state.queued().saturating_sub(event.turn_cost()));
                if state.is_waiting() {
                    self.give_turn(connection, longest);
                }
            }
        }
        Some(batch)
    }

    fn give_turn(&mut self, connection: &Arc<C>, longest: usize) {
        let turn = self.turn(longest);
        let state = connection.turn();
        let key = Self::key(connection);
        while state.is_waiting() && state.queued() == 0 {
            let waiting = self.waiting.entry(key).or_default();
            let mut part = match waiting.front_mut() {
                // This batch was filled while turns were longer.
                Some(front) if front.cost() >= 2 * turn => {
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
                state.set_waiting(false);
            }
            state.set_queued(part.cost());
            match self.queued.back_mut() {
                // Several short turns share a batch.
                Some(last) if last.has_room_for(&part) => {
                    last.append(&mut part);
                    self.keep(part);
                }
                _ => self.queued.push_back(part),
            }
        }
    }

    /// Keeps an emptied batch for reuse.
    fn keep(&mut self, mut batch: EventBatch<C>) {
        batch.clear();
        if batch.text.capacity() <= 4 * MAX_BATCH_BYTES && self.spare.len() < FLOOD_SPARE_BATCHES {
            self.spare.push(batch);
        }
    }

    fn take_all(&mut self) -> AllBatches<C> {
        (
            std::mem::take(&mut self.queued),
            std::mem::take(&mut self.waiting),
        )
    }
}

impl<C> std::fmt::Debug for EventQueue<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventQueue")
            .field("window", &self.window)
            .field("woken", &self.woken)
            .finish_non_exhaustive()
    }
}

impl<C: Source> EventQueue<C> {
    /// A queue that calls `wake` when it is no longer empty.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            batches: Mutex::default(),
            woken: AtomicBool::new(false),
            window: ReceiveWindow::new(),
            turn: AtomicUsize::new(MAX_TURN),
            last_cost: AtomicUsize::new(0),
            wake,
            closed: AtomicBool::new(false),
        }
    }

    /// Appends one event, and wakes the environment if it has not been woken yet.
    pub fn post(&self, event: Event<C>) {
        self.append(|appender| appender.event(event));
    }

    /// Appends events that JavaScript must find together.
    pub fn post_all(&self, events: Vec<Event<C>>) {
        if !events.is_empty() {
            self.append(|appender| events.into_iter().for_each(|event| appender.event(event)));
        }
    }

    /// Appends through `fill` under one lock, and wakes the environment if it has not been woken
    /// yet.
    pub(crate) fn append<R>(&self, fill: impl FnOnce(&mut Appender<'_, C>) -> R) -> R {
        let mut batches = self.batches.lock();
        let mut appender = Appender {
            batches: &mut batches,
            turn: self.turn.load(Ordering::Relaxed),
            bytes: 0,
            appended: false,
        };
        let result = fill(&mut appender);
        let Appender {
            bytes, appended, ..
        } = appender;
        if self.closed.load(Ordering::Acquire) {
            let unwanted = batches.take_all();
            drop(batches);
            // Dropped without the lock: the drop of a connection may post an event.
            drop(unwanted);
            return result;
        }
        self.window.add(bytes);
        drop(batches);
        // The flag is read first, because a swap takes a noticeable part of the time of a message.
        // The lock orders it: the environment cleared the flag before it looked, or looks at these
        // events later.
        if appended
            && !self.woken.load(Ordering::Acquire)
            && !self.woken.swap(true, Ordering::AcqRel)
        {
            (self.wake)();
        }
        result
    }

    /// The next batch, oldest first, and whether stopped readers may continue. The environment
    /// calls this until there is none, and gives each batch back with [`recycle`](Self::recycle).
    pub fn take(&self) -> Option<(EventBatch<C>, bool)> {
        // Cleared before looking, so that an event appended after the look wakes the environment
        // again.
        self.woken.store(false, Ordering::Release);
        let turn = self.turn.load(Ordering::Relaxed);
        let batch = self.batches.lock().take(turn)?;
        self.last_cost.store(batch.cost(), Ordering::Relaxed);
        let mut bytes = 0;
        for event in &batch.events {
            let cost = event.queued_cost();
            if let Some(connection) = event.connection().filter(|_| cost > 0) {
                bytes += cost;
                connection.release(cost);
            }
        }
        let resume_readers = self.window.remove(bytes, HIGH_WATER_MARK);
        Some((batch, resume_readers))
    }

    /// JavaScript has delivered the batch taken last, and interrupted it `slices` times to let the
    /// program's timers run. The length of a turn follows from that.
    pub fn delivered(&self, slices: u32) {
        let turn = self.turn.load(Ordering::Relaxed);
        if slices >= SLOW_SLICES {
            let fitting = self.last_cost.load(Ordering::Relaxed) / slices as usize;
            self.turn.store(fitting.clamp(1, turn), Ordering::Relaxed);
        } else if slices == 0 && turn < MAX_TURN {
            self.turn.store((2 * turn).min(MAX_TURN), Ordering::Relaxed);
        }
    }

    /// Lets the environment's own thread append through `fill` without being woken for it. Returns
    /// whether there is something to take.
    pub fn fill_awake(&self, fill: impl FnOnce()) -> bool {
        let was_woken = self.woken.swap(true, Ordering::AcqRel);
        fill();
        if !was_woken {
            self.woken.store(false, Ordering::Release);
        }
        // A thread that appended meanwhile has not woken the environment, which looks at the queue
        // now in any case.
        !self.is_empty()
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.batches.lock().queued.is_empty()
    }

    /// Takes an emptied batch back, to reuse its memory.
    pub fn recycle(&self, mut batch: EventBatch<C>) {
        // Cleared without the lock: the batch may own the last reference to a connection.
        batch.clear();
        let mut batches = self.batches.lock();
        batches.keep(batch);
        if batches.queued.is_empty() {
            batches.spare.truncate(SPARE_BATCHES);
        }
    }

    /// How many bytes of one connection may wait here: half of the free room, so that there is room
    /// for a quiet connection however many peers flood.
    pub(crate) fn share(&self) -> usize {
        HIGH_WATER_MARK.saturating_sub(self.window.amount()) / 2
    }

    /// Whether all readers must stop. After `true`, a later [`take`](Self::take) reports that they
    /// may continue.
    pub(crate) fn is_over_mark(&self) -> bool {
        self.window.must_stop(HIGH_WATER_MARK)
    }

    /// Drops further events from now on; [`clear`](Self::clear) drops those in the queue.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Drops all events in the queue.
    pub(crate) fn clear(&self) {
        let unwanted = self.batches.lock().take_all();
        drop(unwanted);
    }

    /// Whether further events are dropped.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Appends to a queue while its lock is held.
pub(crate) struct Appender<'a, C> {
    batches: &'a mut Batches<C>,
    turn: usize,
    bytes: usize,
    appended: bool,
}

impl<C: Source> Appender<'_, C> {
    pub(crate) fn event(&mut self, event: Event<C>) {
        self.bytes += event.queued_cost();
        self.appended = true;
        match event.connection().cloned() {
            Some(connection) => self
                .batches
                .append_of(&connection, self.turn, |batch, _| batch.push(event)),
            None => Batches::open(&mut self.batches.queued, &mut self.batches.spare).push(event),
        }
    }

    /// Frames below [`LARGE_FRAME`](super::event::LARGE_FRAME): their concatenated text, and their
    /// lengths.
    pub(crate) fn frames(&mut self, connection: &Arc<C>, text: &[u8], lengths: &[FrameLength]) {
        self.bytes += text.len() + lengths.len() * queued_cost(0);
        self.appended = true;
        let (mut text, mut lengths) = (text, lengths);
        while !lengths.is_empty() {
            let (count, bytes) = self
                .batches
                .append_of(connection, self.turn, |batch, room| {
                    let (count, bytes) = batch.fitting(lengths, room);
                    batch.push_frames(connection, &text[..bytes], &lengths[..count]);
                    (count, bytes)
                });
            text = &text[bytes..];
            lengths = &lengths[count..];
        }
    }

    pub(crate) fn large_frame(&mut self, connection: &Arc<C>, bytes: Vec<u8>, is_binary: bool) {
        let connection = Arc::clone(connection);
        self.event(if is_binary {
            Event::LargeBinaryFrame { connection, bytes }
        } else {
            Event::LargeFrame { connection, bytes }
        });
    }
}
