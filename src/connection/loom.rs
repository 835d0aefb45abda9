//! Models of the two readers of a connection and of its sending direction: `npm run model`.

use super::reader_state::{ReadState, ReaderKind, ReaderOps, ReaderState};
use super::send_queue::SendQueue;
use crate::events::receive_window::ReceiveWindow;
use crate::sync::Mutex;
use crate::transport::Outgoing;
use bytes::Bytes;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::io::{self, ErrorKind, IoSlice};

/// A connection around the real reader state. Received bytes are a count, bytes to send are a flag.
/// The environment's thread looks at `watched` instead of a poller, and tasks run one after the
/// other on a thread of their own.
struct Line {
    reader_state: ReaderState,
    /// The stream, and the bytes that are still in the kernel.
    reader: Mutex<(Option<std::sync::Arc<()>>, usize)>,
    pending: Mutex<bool>,
    watched: Mutex<bool>,
    /// The bytes that were read and not yet taken by the environment.
    unread: ReceiveWindow,
    /// The number of tasks that were started and have not begun, and whether no more will follow.
    tasks: Mutex<(usize, bool)>,
    started: Notify,
    /// Wakes the environment: an event was posted, or the stream is watched.
    event: Notify,
    /// These are not part of the checked code, so loom need not model them.
    registered: std::sync::atomic::AtomicBool,
    closed: std::sync::atomic::AtomicUsize,
}

const STD: std::sync::atomic::Ordering = std::sync::atomic::Ordering::SeqCst;
/// The reader stops at this many bytes that are not taken.
const UNREAD: usize = 2;

impl ReaderOps for std::sync::Arc<Line> {
    type Stream = std::sync::Arc<()>;

    fn stream(&self) -> Option<Self::Stream> {
        self.reader.lock().0.clone()
    }

    fn watch(&self, _: &Self::Stream) -> bool {
        *self.watched.lock() = true;
        self.event.notify();
        true
    }

    fn unwatch(&self, _: &Self::Stream) {
        *self.watched.lock() = false;
    }

    fn is_pending(&self) -> bool {
        *self.pending.lock()
    }

    fn is_backpressured(&self) -> bool {
        self.unread.must_stop(UNREAD)
    }

    fn start_task(&self) {
        self.tasks.lock().0 += 1;
        self.started.notify();
    }
}

impl Line {
    /// A connection that is read by `kind`, with `received` bytes in the kernel.
    fn new(kind: ReaderKind, received: usize) -> std::sync::Arc<Self> {
        let line = std::sync::Arc::new(Self {
            reader_state: ReaderState::new(kind),
            reader: Mutex::new((Some(std::sync::Arc::default()), received)),
            pending: Mutex::default(),
            watched: Mutex::default(),
            unread: ReceiveWindow::new(),
            tasks: Mutex::default(),
            started: Notify::new(),
            event: Notify::new(),
            registered: std::sync::atomic::AtomicBool::default(),
            closed: std::sync::atomic::AtomicUsize::default(),
        });
        line.reader_state
            .change_read_state(&line, ReadState::Held, ReadState::Flowing);
        line
    }

    /// Like `Connection::read`. Returns whether reading was stopped.
    fn read(&self) -> bool {
        let mut reader = self.reader.lock();
        loop {
            if reader.0.is_none()
                || self.reader_state.read_state() != ReadState::Flowing
                || self.unread.must_stop(UNREAD)
            {
                return true;
            }
            if reader.1 == 0 {
                return false;
            }
            reader.1 -= 1;
            self.unread.add(1);
            self.event.notify();
        }
    }

    /// Like `Connection::read_in_loop`.
    fn read_in_loop(self: &std::sync::Arc<Self>) {
        if self.reader_state.kind() != ReaderKind::Loop || self.read() {
            self.reader_state.stop_watching(self);
        }
    }

    /// Like `Connection::run`. With `joins`, the task moves the connection to the event loop after
    /// each read.
    fn run(self: &std::sync::Arc<Self>, joins: bool) {
        let reader_state = &self.reader_state;
        if self.stream().is_none() {
            return;
        }
        loop {
            if reader_state.is_closed() {
                self.registered.store(false, STD);
                return;
            }
            if reader_state.is_idle(self) {
                self.registered.store(false, STD);
                if reader_state.try_park(self) {
                    return;
                }
                continue;
            }
            self.registered.store(true, STD);
            let is_reader = reader_state.kind() == ReaderKind::Runtime;
            if is_reader
                && reader_state.read_state() == ReadState::Flowing
                && !self.is_backpressured()
            {
                let more = self.reader.lock().1 > 0;
                if more {
                    self.read();
                    if joins {
                        self.registered.store(false, STD);
                        reader_state.move_to_loop(self);
                    }
                    continue;
                }
            }
            if std::mem::take(&mut *self.pending.lock()) {
                self.event.notify();
                continue;
            }
            reader_state.wake().wait();
        }
    }

    /// The runtime.
    fn run_tasks(self: &std::sync::Arc<Self>, joins: bool) -> thread::JoinHandle<()> {
        let line = std::sync::Arc::clone(self);
        thread::spawn(move || {
            loop {
                let (waiting, over) = *line.tasks.lock();
                if waiting > 0 {
                    line.tasks.lock().0 -= 1;
                    assert!(!line.registered.load(STD), "a second task");
                    line.run(joins);
                } else if over {
                    return;
                } else {
                    line.started.wait();
                }
            }
        })
    }

    fn send(self: &std::sync::Arc<Self>) {
        let mut pending = self.pending.lock();
        *pending = true;
        self.reader_state.wake_task(self);
    }

    fn until_sent(&self) {
        while *self.pending.lock() {
            self.event.wait();
        }
    }

    /// The environment's thread: waits for the poller and the queue until it has taken `wanted`
    /// bytes.
    fn take(self: &std::sync::Arc<Self>, mut wanted: usize) {
        let mut turns = 0;
        loop {
            while wanted > 0 && self.unread.amount() > 0 {
                wanted -= 1;
                if self.unread.remove(1, UNREAD) {
                    self.reader_state.resume_reading(self);
                }
            }
            if wanted == 0 {
                return;
            }
            let ready = *self.watched.lock() && self.reader.lock().1 > 0;
            if ready {
                self.read_in_loop();
                turns += 1;
                assert!(turns < 20, "the event loop spins");
            } else {
                // If the bytes have no reader, this waits forever, and loom reports a deadlock.
                self.event.wait();
            }
        }
    }

    /// Like `Connection::close`, with a peer that has not ended.
    fn close(self: &std::sync::Arc<Self>) {
        self.reader_state.stop();
        *self.pending.lock() = false;
        let stream = {
            let mut reader = self.reader.lock();
            let stream = reader.0.take();
            if let Some(stream) = &stream {
                self.unwatch(stream);
            }
            stream
        };
        if stream.is_some() {
            self.closed.fetch_add(1, STD);
        }
        self.reader_state.close();
    }

    /// Checks that the connection was closed once, and that no task is left. To loom, a task that
    /// keeps waiting is a deadlock.
    fn finish(self: &std::sync::Arc<Self>, runtime: thread::JoinHandle<()>) {
        self.tasks.lock().1 = true;
        self.started.notify();
        runtime.join().unwrap();
        assert_eq!(self.closed.load(STD), 1);
        assert!(!*self.watched.lock(), "watched, and closed");
    }
}

/// These models are too large for every interleaving: only those with two preemptions are tried,
/// unless `LOOM_MAX_PREEMPTIONS` says otherwise.
pub(crate) fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[test]
fn bytes_to_send_always_have_a_task_that_does_not_park() {
    bounded(|| {
        let line = Line::new(ReaderKind::Loop, 0);
        let runtime = line.run_tasks(false);
        line.send();
        line.until_sent();
        // The task is about to park.
        line.send();
        line.until_sent();
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_is_closed_while_its_task_begins_or_parks_keeps_no_task() {
    bounded(|| {
        let line = Line::new(ReaderKind::Loop, 0);
        let runtime = line.run_tasks(false);
        line.send();
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_two_close_is_closed_once() {
    bounded(|| {
        let line = Line::new(ReaderKind::Loop, 0);
        let runtime = line.run_tasks(false);
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.close())
        };
        line.close();
        other.join().unwrap();
        line.finish(runtime);
    });
}

#[test]
fn a_reader_that_takes_over_misses_nothing_while_the_other_pauses_and_takes() {
    bounded(|| {
        let line = Line::new(ReaderKind::Loop, 1);
        let runtime = line.run_tasks(false);
        // The runtime takes a turn instead of a blocked event loop, and finds a flood.
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.reader_state.move_to_runtime(&line))
        };
        line.reader_state
            .change_read_state(&line, ReadState::Flowing, ReadState::Paused);
        line.reader_state
            .change_read_state(&line, ReadState::Paused, ReadState::Flowing);
        line.take(1);
        other.join().unwrap();
        assert!(!*line.watched.lock(), "watched, and read by the runtime");
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_comes_back_to_the_loop_is_read_there() {
    bounded(|| {
        let line = Line::new(ReaderKind::Runtime, 3);
        // The task reads two bytes and moves the connection to the loop, which reads the third.
        let runtime = line.run_tasks(true);
        line.take(3);
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_comes_back_to_the_loop_and_is_paused_is_read_when_it_is_resumed() {
    bounded(|| {
        let line = Line::new(ReaderKind::Runtime, 1);
        let runtime = line.run_tasks(true);
        line.reader_state
            .change_read_state(&line, ReadState::Flowing, ReadState::Paused);
        line.reader_state
            .change_read_state(&line, ReadState::Paused, ReadState::Flowing);
        line.take(1);
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn two_turns_at_once_leave_the_connection_a_reader() {
    bounded(|| {
        let line = Line::new(ReaderKind::Loop, 3);
        let runtime = line.run_tasks(false);
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.read_in_loop())
        };
        line.take(3);
        other.join().unwrap();
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_task_that_gives_a_connection_back_while_a_turn_takes_it_leaves_it_a_reader() {
    bounded(|| {
        let line = Line::new(ReaderKind::Runtime, 1);
        let runtime = line.run_tasks(true);
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.reader_state.move_to_runtime(&line))
        };
        line.take(1);
        other.join().unwrap();
        line.close();
        line.finish(runtime);
    });
}

/// The sending direction of a socket: a kernel with a small buffer, and a peer that reads.
struct Pipe {
    /// The bytes in the kernel, the bytes that the peer has read, and whether FIN follows.
    state: Mutex<(Vec<u8>, Vec<u8>, bool)>,
}

const ROOM: usize = 2;

impl Outgoing for Pipe {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        assert!(!state.2, "bytes after FIN");
        let count = bytes.len().min(ROOM - state.0.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        state.0.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(
            &slices
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect::<Vec<_>>(),
        )
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        true
    }

    fn held(&self) -> usize {
        0
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.state.lock().2 = true;
        Ok(())
    }
}

/// The sending side of a connection, around the real send queue and reader state.
struct Way {
    reader_state: ReaderState,
    send_queue: Mutex<SendQueue<Pipe>>,
    pipe: std::sync::Arc<Pipe>,
    /// The number of tasks that were started and have not begun.
    tasks: AtomicUsize,
    /// The last position that was reported to JavaScript.
    reported: Mutex<u64>,
    /// Wakes the runtime: a task was started, or the kernel has room again.
    runtime: Notify,
    /// Wakes the environment.
    event: Notify,
}

impl ReaderOps for std::sync::Arc<Way> {
    type Stream = ();

    fn stream(&self) -> Option<()> {
        Some(())
    }

    fn watch(&self, (): &()) -> bool {
        true
    }

    fn unwatch(&self, (): &()) {}

    fn is_pending(&self) -> bool {
        self.send_queue.lock().is_pending()
    }

    fn is_backpressured(&self) -> bool {
        false
    }

    fn start_task(&self) {
        self.tasks.fetch_add(1, Ordering::AcqRel);
        self.runtime.notify();
    }
}

impl Way {
    fn new() -> std::sync::Arc<Self> {
        let pipe = std::sync::Arc::new(Pipe {
            state: Mutex::default(),
        });
        std::sync::Arc::new(Self {
            reader_state: ReaderState::new(ReaderKind::Loop),
            send_queue: Mutex::new(SendQueue::new(std::sync::Arc::clone(&pipe))),
            pipe,
            tasks: AtomicUsize::new(0),
            reported: Mutex::default(),
            runtime: Notify::new(),
            event: Notify::new(),
        })
    }

    /// Like `Connection::write`. Returns the position to wait for.
    fn write(self: &std::sync::Arc<Self>, bytes: &'static [u8]) -> Option<u64> {
        let mut send_queue = self.send_queue.lock();
        let waits = send_queue.write(bytes, Bytes::copy_from_slice).unwrap();
        if waits.is_some() {
            self.reader_state.wake_task(self);
        }
        waits
    }

    /// Like `Connection::end`.
    fn end(self: &std::sync::Arc<Self>) -> Option<u64> {
        let mut send_queue = self.send_queue.lock();
        let waits = send_queue.end().unwrap();
        if waits.is_some() {
            self.reader_state.wake_task(self);
        }
        waits
    }

    /// Like `Connection::flush`, by the task.
    fn flush(self: &std::sync::Arc<Self>) {
        let mut send_queue = self.send_queue.lock();
        let (result, reported) = send_queue.progress();
        result.unwrap();
        drop(send_queue);
        if let Some(position) = reported {
            *self.reported.lock() = position;
            self.event.notify();
        }
    }

    /// The runtime, and a peer that reads everything whenever the task waits for room, until it has
    /// `wanted` bytes and FIN.
    fn run(self: &std::sync::Arc<Self>, wanted: usize) -> thread::JoinHandle<()> {
        let way = std::sync::Arc::clone(self);
        thread::spawn(move || {
            let mut driving = false;
            loop {
                if !driving && way.tasks.load(Ordering::Acquire) > 0 {
                    way.tasks.fetch_sub(1, Ordering::AcqRel);
                    driving = true;
                }
                let over = {
                    let (kernel, peer, ended) = &mut *way.pipe.state.lock();
                    peer.append(kernel);
                    peer.len() == wanted && *ended
                };
                if driving {
                    way.flush();
                    driving = !(way.reader_state.is_idle(&way) && way.reader_state.try_park(&way));
                } else if over {
                    return;
                } else if way.tasks.load(Ordering::Acquire) == 0 {
                    // If no task was started for queued bytes, they stay there, and loom reports a
                    // deadlock.
                    way.runtime.wait();
                }
            }
        })
    }

    /// The environment waits until a promise of `send()` is settled.
    fn until_told(&self, waits: Option<u64>) {
        while waits.is_some_and(|position| *self.reported.lock() < position) {
            self.event.wait();
        }
    }
}

#[test]
fn bytes_leave_in_order_and_every_awaited_position_is_reported() {
    bounded(|| {
        let way = Way::new();
        let runtime = way.run(6);
        let first = way.write(b"abc");
        let second = way.write(b"def");
        way.until_told(first);
        way.until_told(second);
        let last = way.end();
        if last.is_none() {
            // FIN was sent at once, because the kernel had all bytes.
            way.runtime.notify();
        }
        way.until_told(last);
        runtime.join().unwrap();
        assert_eq!(way.pipe.state.lock().1, b"abcdef");
        assert_eq!(way.send_queue.lock().written(), 6);
    });
}
