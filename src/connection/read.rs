//! The receiving direction: reads the socket, cuts frames, and posts them to the event queue.

use super::heartbeat::{PONG_LIMIT, now_ms};
use super::reader_policy::{TrafficStats, may_move, runtime_reads_bulk};
use super::reader_state::{ReadState, ReaderKind};
use super::{Connection, Event, Reader};
use crate::events::batch::FrameLength;
use crate::events::environment::Member;
use crate::events::error::ConnectionError;
use crate::events::event::{LARGE_FRAME, queued_cost};
use crate::events::poller::PolledConnection;
use crate::events::queue::{Source, Turn};
use crate::protocol::{self, Control, Incoming, MixedFramer, PingBody};
use crate::trace;
use crate::transport::Outgoing;
use crate::transport::socket::READ_SIZE;
use crate::transport::tls::TlsError;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How many times a broken connection is still read, one budget each: more than any kernel buffers,
/// and a bound for a peer that keeps sending.
pub(super) const LAST_READS: usize = 64;

/// Bytes read from one connection before others get their turn.
const READ_BUDGET: usize = 8 * READ_SIZE;

/// The bytes of pongs that are sent in one write.
const PONG_BATCH: usize = PONG_LIMIT / 2;

/// The cost of a ping in the read budget, in addition to its bytes: answering it takes as long as
/// reading this many bytes.
const PING_COST: usize = 1024;

/// After a read with this many pings, the next read asks for fewer bytes, because they may also be
/// pings.
const MANY_PINGS: usize = 64;

const SHORT_READ: usize = 16 * 1024;

thread_local! {
    /// The buffers of a read. Connections share them, so that an idle connection owns none.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; READ_SIZE],
        text: Vec::new(),
        lengths: Vec::new(),
    });
}

struct Scratch {
    input: Vec<u8>,
    text: Vec<u8>,
    lengths: Vec<FrameLength>,
}

/// Why a read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadStop {
    /// The kernel has no more bytes for now.
    Drained,
    /// The budget is used up; others get their turn.
    Budget,
    /// The connection must not be read now; the kernel may have more bytes.
    Stopped,
}

impl Connection {
    /// Reads and hands over received bytes, up to a budget.
    pub(super) fn read(self: &Arc<Self>) -> ReadStop {
        self.read_up_to(&mut self.reader.lock(), READ_BUDGET, Instant::now())
    }

    /// `now` is the time of all reads, because reading the clock takes a noticeable part of the
    /// time of a small message.
    fn read_up_to(self: &Arc<Self>, reader: &mut Reader, budget: usize, now: Instant) -> ReadStop {
        let Reader {
            stream: Some(stream),
            framer,
            stats,
            early_bytes,
            many_pings,
        } = reader
        else {
            return ReadStop::Stopped;
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut budget = budget;
            loop {
                if self.reader_state.read_state() != ReadState::Flowing {
                    return ReadStop::Stopped;
                }
                let had_stopped = self.unread.is_stopped();
                if self.is_backpressured() {
                    trace::event!(DEBUG, id = self.id, "receive mark reached");
                    if !had_stopped {
                        self.config.marks.count_receive();
                    }
                    return ReadStop::Stopped;
                }
                let most = if *many_pings { SHORT_READ } else { READ_SIZE };
                match stream.recv(&mut scratch.input[..most]) {
                    Ok(0) => {
                        self.peer_ended.store(true, Ordering::Release);
                        let cut = stream.is_truncated() && framer.buffered() > 0;
                        self.report_end(cut.then_some(ConnectionError::Tls(TlsError::Truncated)));
                        return ReadStop::Stopped;
                    }
                    Ok(count) if early_bytes.is_some() => {
                        if let Some(early_bytes) = early_bytes {
                            **early_bytes += count as u64;
                        }
                        self.count_received(count);
                        self.post_raw(&scratch.input[..count]);
                        // Reads once, because the program asks again when it has room for more.
                        self.reader_state.change_read_state(
                            self,
                            ReadState::Flowing,
                            ReadState::Held,
                        );
                        return ReadStop::Stopped;
                    }
                    Ok(count) => {
                        let pings = self.receive(framer, scratch, count);
                        *many_pings = pings >= MANY_PINGS;
                        let writes = self.writes.load(Ordering::Relaxed);
                        stats.add(now, count, writes);
                        self.note_activity(now);
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
                        // With TLS, reading also stops after many records without data.
                        budget = budget.saturating_sub(READ_SIZE);
                        if budget == 0 {
                            return ReadStop::Budget;
                        }
                    }
                    Err(error) => {
                        self.report_end(Some(ConnectionError::new("read", &error)));
                        return ReadStop::Stopped;
                    }
                }
            }
        })
    }

    /// Cuts `count` bytes of the scratch input into frames and posts them. Returns the number of
    /// pings.
    fn receive(
        self: &Arc<Self>,
        framer: &mut MixedFramer,
        scratch: &mut Scratch,
        count: usize,
    ) -> usize {
        self.count_received(count);
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
        let result = framer.push(input, &mut |incoming: Incoming<'_>| {
            let (frame, is_binary) = match incoming {
                Incoming::Text(frame) => (frame, false),
                Incoming::Binary(frame) => (frame, true),
                Incoming::Bytes(bytes) => {
                    self.post_frames(text, lengths);
                    self.post_raw(bytes);
                    return;
                }
            };
            if !show_control
                && !is_binary
                && let Some(control) = protocol::parse_control(frame.as_bytes())
            {
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
                lengths.push(FrameLength::new(frame.as_bytes().len(), is_binary));
            } else {
                self.post_frames(text, lengths);
                let bytes = frame.into_vec();
                self.unread.add(queued_cost(bytes.len()));
                self.environment
                    .queue()
                    .append(|queue| queue.large_frame(self, bytes, is_binary));
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

    /// This needs no atomic addition, because the lock of the reader keeps other writers out.
    fn count_received(&self, count: usize) {
        let before = self.bytes_in.load(Ordering::Relaxed);
        self.bytes_in
            .store(before + count as u64, Ordering::Relaxed);
    }

    pub(super) fn post_raw(self: &Arc<Self>, bytes: &[u8]) {
        self.unread.add(queued_cost(bytes.len()));
        self.environment.post(Event::Raw {
            connection: Arc::clone(self),
            bytes: bytes.to_vec(),
        });
    }

    /// Moves the gathered small frames into the queue.
    fn post_frames(self: &Arc<Self>, text: &mut Vec<u8>, lengths: &mut Vec<FrameLength>) {
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
        let mut pongs = Vec::with_capacity((192 * pings.len()).min(PONG_BATCH));
        for (place, ping) in (1..).zip(pings) {
            protocol::write_pong(
                &mut pongs,
                ping,
                now,
                &self.config.transmit_terminator,
                self.config.json_mode,
            );
            if pongs.len() < PONG_BATCH && place < pings.len() {
                continue;
            }
            self.write_control(&pongs);
            pongs.clear();
        }
    }

    /// Reports once that the peer ended its direction, or that the connection broke. If the
    /// connection may be half open, both are reported, in this order.
    pub(super) fn report_end(self: &Arc<Self>, error: Option<ConnectionError>) {
        self.reader_state.stop();
        let is_reported = self.end_reported.swap(true, Ordering::AcqRel);
        let is_half_open = self.config.allow_half_open && self.peer_ended.load(Ordering::Acquire);
        let breaks = error.is_some() && !self.break_reported.swap(true, Ordering::AcqRel);
        if is_reported && !(is_half_open && breaks) {
            return;
        }
        trace::event!(DEBUG, id = self.id, ?error, "connection ended");
        let connection = Arc::clone(self);
        self.environment.post(match error {
            None => Event::Ended(connection),
            Some(error) => Event::Failed { connection, error },
        });
    }

    /// How many bytes may wait for JavaScript. The mark is lower while other connections have
    /// filled the queue.
    fn mark(&self) -> usize {
        let mark = self.config.receive_high_water_mark;
        mark.min(self.environment.queue().share())
    }

    /// Whether the reader must wait for JavaScript. A reader that stops because of this is resumed.
    pub(super) fn is_backpressured(&self) -> bool {
        self.unread.must_stop(self.mark()) || self.environment.queue().is_over_mark()
    }

    /// JavaScript keeps `amount` delivered bytes for the program: they count as unread until
    /// [`release_retained`](Self::release_retained).
    pub fn retain(&self, amount: usize) {
        self.unread.add(amount);
    }

    /// The program took `amount` of the retained bytes.
    pub fn release_retained(self: &Arc<Self>, amount: usize) {
        self.release(amount);
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

    fn read_in_loop(self: &Arc<Self>, share: usize, now: Instant) -> bool {
        if self.reader_state.kind() != ReaderKind::Loop {
            self.reader_state.stop_watching(self);
            return false;
        }
        let before = self.bytes_in.load(Ordering::Relaxed);
        let (stop, moves) = {
            let mut reader = self.reader.lock();
            let stop = self.read_up_to(&mut reader, READ_BUDGET / share, now);
            let moves = reader.stream.as_ref().is_some_and(|stream| {
                // The kernel does not announce bytes that TLS holds back, in either direction.
                let tls_holds = stream.has_buffered() || !stream.is_flushed();
                tls_holds || (reader.stats.is_for_runtime(runtime_reads_bulk(stream)) && may_move())
            });
            if moves {
                reader.stats = TrafficStats::default();
            }
            (stop, moves)
        };
        if moves {
            trace::event!(DEBUG, id = self.id, "reader moves to the runtime");
            self.reader_state.move_to_runtime(self);
        } else if stop == ReadStop::Stopped {
            self.reader_state.stop_watching(self);
        }
        self.bytes_in.load(Ordering::Relaxed) != before || stop == ReadStop::Stopped
    }
}
