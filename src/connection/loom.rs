//! Every interleaving of the hand-over between the runtime and JavaScript, by loom: `npm run model`.

use crate::connection::reader_state::{Body, Flow, Place, Switch};
use crate::connection::receive_window::Gauge;
use crate::connection::send_queue::{Outbox, Outgoing};
use crate::endpoint::loopback::{Door, Listeners};
use crate::events::queue::{Event, Mailbox};
use crate::sync::Mutex;
use bytes::Bytes;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use std::io::{self, ErrorKind, IoSlice};

/// What the environment's thread does: sleeps until woken, then takes until there is no more.
fn take_until(mailbox: &Mailbox, woken: &Notify, wanted: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < wanted {
        // If a wake-up is lost, this waits for ever, and loom reports a deadlock.
        woken.wait();
        while let Some(segment) = mailbox.take() {
            for event in &segment.events {
                match event {
                    Event::BroadcastDone(id) => taken.push(*id),
                    other => panic!("nobody posted {other:?}"),
                }
            }
            mailbox.recycle(segment);
        }
    }
    taken
}

#[test]
fn an_environment_is_woken_for_whatever_is_posted() {
    loom::model(|| {
        let woken = Arc::new(Notify::new());
        let wakes = Arc::new(AtomicUsize::new(0));
        let wake = {
            let (woken, wakes) = (Arc::clone(&woken), Arc::clone(&wakes));
            move || {
                wakes.fetch_add(1, Ordering::Relaxed);
                woken.notify();
            }
        };
        let mailbox = Mailbox::new(Box::new(wake), None);
        let posting = {
            let mailbox = std::sync::Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.post(Event::BroadcastDone(1));
                mailbox.post(Event::BroadcastDone(2));
            })
        };
        let taken = take_until(&mailbox, &woken, 2);
        posting.join().unwrap();
        assert_eq!(taken, [1, 2]);
        assert!(
            wakes.load(Ordering::Relaxed) <= 2,
            "woken more often than there was something"
        );
        assert!(mailbox.is_empty());
    });
}

#[test]
fn an_environment_is_woken_for_two_threads() {
    loom::model(|| {
        let woken = Arc::new(Notify::new());
        let wake = {
            let woken = Arc::clone(&woken);
            move || woken.notify()
        };
        let mailbox = Mailbox::new(Box::new(wake), None);
        let posting = [1, 2].map(|id| {
            let mailbox = std::sync::Arc::clone(&mailbox);
            thread::spawn(move || mailbox.post(Event::BroadcastDone(id)))
        });
        let mut taken = take_until(&mailbox, &woken, 2);
        posting
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn what_the_loops_own_thread_reads_and_what_the_runtime_posts_is_all_taken() {
    loom::model(|| {
        let woken = Arc::new(Notify::new());
        let wake = {
            let woken = Arc::clone(&woken);
            move || woken.notify()
        };
        let mailbox = Mailbox::new(Box::new(wake), None);
        let runtime = {
            let mailbox = std::sync::Arc::clone(&mailbox);
            thread::spawn(move || mailbox.post(Event::BroadcastDone(1)))
        };
        let mut taken = Vec::new();
        let take_all = |taken: &mut Vec<u64>| {
            while let Some(segment) = mailbox.take() {
                taken.extend(segment.events.iter().map(|event| match event {
                    Event::BroadcastDone(id) => *id,
                    other => panic!("nobody posted {other:?}"),
                }));
                mailbox.recycle(segment);
            }
        };
        // A turn of the poller: reads, posts, and delivers without being woken for it.
        if mailbox.fill_awake(|| mailbox.post(Event::BroadcastDone(2))) {
            take_all(&mut taken);
        }
        while taken.len() < 2 {
            woken.wait();
            take_all(&mut taken);
        }
        runtime.join().unwrap();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn a_reader_that_stops_is_woken() {
    const MARK: usize = 2;
    loom::model(|| {
        let gauge = Arc::new(Gauge::new());
        let woken = Arc::new(Notify::new());
        gauge.add(2);
        let environment = {
            let (gauge, woken) = (Arc::clone(&gauge), Arc::clone(&woken));
            thread::spawn(move || {
                for _ in 0..2 {
                    if gauge.remove(1, MARK) {
                        woken.notify();
                    }
                }
            })
        };
        // The reader: stops at the mark, is woken, looks again.
        while gauge.must_stop(MARK) {
            woken.wait();
        }
        gauge.add(1);
        environment.join().unwrap();
        assert_eq!(gauge.amount(), 1);
    });
}

#[test]
fn a_reader_that_stops_is_woken_although_the_mark_moves() {
    // Other connections fill the mailbox, or leave it, while this one is read and taken.
    for marks in [[2, 0], [1, 4], [2, 1]] {
        loom::model(move || {
            let gauge = Arc::new(Gauge::new());
            let woken = Arc::new(Notify::new());
            gauge.add(2);
            let environment = {
                let (gauge, woken) = (Arc::clone(&gauge), Arc::clone(&woken));
                thread::spawn(move || {
                    for mark in marks {
                        if gauge.remove(1, mark) {
                            woken.notify();
                        }
                    }
                })
            };
            for mark in marks {
                while gauge.must_stop(mark) {
                    woken.wait();
                }
            }
            environment.join().unwrap();
            assert_eq!(gauge.amount(), 0);
        });
    }
}

#[test]
fn a_reader_goes_on_however_often_it_stops() {
    const MARK: usize = 1;
    loom::model(|| {
        let gauge = Arc::new(Gauge::new());
        let (woken, filled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let environment = {
            let (gauge, woken, filled) =
                (Arc::clone(&gauge), Arc::clone(&woken), Arc::clone(&filled));
            thread::spawn(move || {
                for _ in 0..2 {
                    while gauge.amount() == 0 {
                        filled.wait();
                    }
                    if gauge.remove(1, MARK) {
                        woken.notify();
                    }
                }
            })
        };
        for _ in 0..2 {
            while gauge.must_stop(MARK) {
                woken.wait();
            }
            gauge.add(1);
            filled.notify();
        }
        environment.join().unwrap();
        assert_eq!(gauge.amount(), 0);
    });
}

/// A connection around the switch that ships: what it reads is counted, what it sends is a flag, its poller is what
/// the environment's thread looks at, and its tasks run one after the other on a thread of their own.
struct Line {
    switch: Switch,
    /// The stream, and how much of what the peer said is still in the kernel.
    reader: Mutex<(Option<std::sync::Arc<()>>, usize)>,
    pending: Mutex<bool>,
    watched: Mutex<bool>,
    /// What was read and the environment has not taken.
    unread: Gauge,
    /// Tasks that were started and have not begun, and whether there will be no more.
    tasks: Mutex<(usize, bool)>,
    started: Notify,
    /// Wakes the environment: something was posted, or is watched.
    event: Notify,
    /// Of no interest to the code that is checked, and so nothing that loom need know of.
    registered: std::sync::atomic::AtomicBool,
    closed: std::sync::atomic::AtomicUsize,
}

const STD: std::sync::atomic::Ordering = std::sync::atomic::Ordering::SeqCst;
/// The reader stops when so much is not taken.
const UNREAD: usize = 2;

impl Body for std::sync::Arc<Line> {
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

    fn is_stalled(&self) -> bool {
        self.unread.must_stop(UNREAD)
    }

    fn start_task(&self) {
        self.tasks.lock().0 += 1;
        self.started.notify();
    }
}

impl Line {
    /// A flowing connection, read by `place`, to which the peer has said so much.
    fn new(place: Place, said: usize) -> std::sync::Arc<Self> {
        let line = std::sync::Arc::new(Self {
            switch: Switch::new(place),
            reader: Mutex::new((Some(std::sync::Arc::default()), said)),
            pending: Mutex::default(),
            watched: Mutex::default(),
            unread: Gauge::new(),
            tasks: Mutex::default(),
            started: Notify::new(),
            event: Notify::new(),
            registered: std::sync::atomic::AtomicBool::default(),
            closed: std::sync::atomic::AtomicUsize::default(),
        });
        line.switch.change_flow(&line, Flow::Held, Flow::Flowing);
        line
    }

    /// As `Connection::read`. Answers whether it was stopped.
    fn read(&self) -> bool {
        let mut reader = self.reader.lock();
        loop {
            if reader.0.is_none()
                || self.switch.flow() != Flow::Flowing
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

    /// As `Connection::read_in_loop`.
    fn read_in_loop(self: &std::sync::Arc<Self>) {
        if self.switch.place() != Place::Loop || self.read() {
            self.switch.stop_in_loop(self);
        }
    }

    /// As `Connection::drive`. With `joins`, what the task reads is for the event loop from then on.
    fn drive(self: &std::sync::Arc<Self>, joins: bool) {
        let switch = &self.switch;
        if self.stream().is_none() {
            return;
        }
        loop {
            if switch.is_closed() {
                self.registered.store(false, STD);
                return;
            }
            if switch.is_idle(self) {
                self.registered.store(false, STD);
                if switch.may_rest(self) {
                    return;
                }
                continue;
            }
            self.registered.store(true, STD);
            let here = switch.place() == Place::Runtime;
            if here && switch.flow() == Flow::Flowing && !self.is_stalled() {
                let more = self.reader.lock().1 > 0;
                if more {
                    self.read();
                    if joins {
                        self.registered.store(false, STD);
                        switch.join_loop(self);
                    }
                    continue;
                }
            }
            if std::mem::take(&mut *self.pending.lock()) {
                self.event.notify();
                continue;
            }
            switch.wake().wait();
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
                    line.drive(joins);
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
        self.switch.nudge(self);
    }

    fn until_sent(&self) {
        while *self.pending.lock() {
            self.event.wait();
        }
    }

    /// What the environment's thread does until it has taken so much: waits for its poller and its mailbox.
    fn take(self: &std::sync::Arc<Self>, mut wanted: usize) {
        let mut turns = 0;
        loop {
            while wanted > 0 && self.unread.amount() > 0 {
                wanted -= 1;
                if self.unread.remove(1, UNREAD) {
                    self.switch.attend(self);
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
                // If nobody reads what there is, this waits for ever, and loom reports a deadlock.
                self.event.wait();
            }
        }
    }

    /// As `Connection::close`, on a peer that has not ended.
    fn close(self: &std::sync::Arc<Self>) {
        self.switch.stop();
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
        self.switch.close();
    }

    /// The connection was closed once, and nobody has anything to do with it any more: a task that stays, and with it
    /// the descriptor, is a deadlock to loom.
    fn finish(self: &std::sync::Arc<Self>, runtime: thread::JoinHandle<()>) {
        self.tasks.lock().1 = true;
        self.started.notify();
        runtime.join().unwrap();
        assert_eq!(self.closed.load(STD), 1);
        assert!(!*self.watched.lock(), "watched, and closed");
    }
}

/// Models of the switch are too large for every interleaving: those with so many preemptions, if nobody says otherwise.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[test]
fn whatever_is_sent_finds_a_task_and_none_rests_beside_it() {
    bounded(|| {
        let line = Line::new(Place::Loop, 0);
        let runtime = line.run_tasks(false);
        line.send();
        line.until_sent();
        // The task is about to rest.
        line.send();
        line.until_sent();
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_is_closed_while_its_task_begins_or_rests_keeps_no_task() {
    bounded(|| {
        let line = Line::new(Place::Loop, 0);
        let runtime = line.run_tasks(false);
        line.send();
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_two_close_is_closed_once() {
    bounded(|| {
        let line = Line::new(Place::Loop, 0);
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
        let line = Line::new(Place::Loop, 1);
        let runtime = line.run_tasks(false);
        // The turn that the runtime takes for a blocked event loop finds a flood.
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.switch.leave_loop(&line))
        };
        line.switch.change_flow(&line, Flow::Flowing, Flow::Paused);
        line.switch.change_flow(&line, Flow::Paused, Flow::Flowing);
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
        let line = Line::new(Place::Runtime, 3);
        // Reads two, and gives it to the loop, which reads the third.
        let runtime = line.run_tasks(true);
        line.take(3);
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn a_connection_that_comes_back_to_the_loop_and_is_paused_is_read_when_it_is_resumed() {
    bounded(|| {
        let line = Line::new(Place::Runtime, 1);
        let runtime = line.run_tasks(true);
        line.switch.change_flow(&line, Flow::Flowing, Flow::Paused);
        line.switch.change_flow(&line, Flow::Paused, Flow::Flowing);
        line.take(1);
        line.close();
        line.finish(runtime);
    });
}

#[test]
fn two_turns_at_once_lose_no_reader() {
    bounded(|| {
        let line = Line::new(Place::Loop, 3);
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
        let line = Line::new(Place::Runtime, 1);
        let runtime = line.run_tasks(true);
        let other = {
            let line = std::sync::Arc::clone(&line);
            thread::spawn(move || line.switch.leave_loop(&line))
        };
        line.take(1);
        other.join().unwrap();
        line.close();
        line.finish(runtime);
    });
}

/// The sending direction of a socket: a kernel with room for so many bytes, and a peer that takes them.
struct Pipe {
    /// What is in the kernel, what the peer has, and whether FIN is behind it.
    state: Mutex<(Vec<u8>, Vec<u8>, bool)>,
}

const ROOM: usize = 2;

impl Outgoing for Pipe {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        assert!(!state.2, "bytes behind FIN");
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

/// The sending side of a connection, around the outbox and the switch that ship.
struct Way {
    switch: Switch,
    outbox: Mutex<Outbox<Pipe>>,
    pipe: std::sync::Arc<Pipe>,
    /// Tasks that were started and have not begun.
    tasks: AtomicUsize,
    /// The last position of which JavaScript was told.
    told: Mutex<u64>,
    /// Wakes the runtime: a task was started, the kernel has room again.
    runtime: Notify,
    /// Wakes the environment.
    event: Notify,
}

impl Body for std::sync::Arc<Way> {
    type Stream = ();

    fn stream(&self) -> Option<()> {
        Some(())
    }

    fn watch(&self, (): &()) -> bool {
        true
    }

    fn unwatch(&self, (): &()) {}

    fn is_pending(&self) -> bool {
        self.outbox.lock().is_pending()
    }

    fn is_stalled(&self) -> bool {
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
            switch: Switch::new(Place::Loop),
            outbox: Mutex::new(Outbox::new(std::sync::Arc::clone(&pipe))),
            pipe,
            tasks: AtomicUsize::new(0),
            told: Mutex::default(),
            runtime: Notify::new(),
            event: Notify::new(),
        })
    }

    /// As `Connection::write`: answers the position to wait for.
    fn write(self: &std::sync::Arc<Self>, bytes: &'static [u8]) -> Option<u64> {
        let mut outbox = self.outbox.lock();
        let waits = outbox.write(bytes, Bytes::copy_from_slice).unwrap();
        if waits.is_some() {
            self.switch.nudge(self);
        }
        waits
    }

    /// As `Connection::end`.
    fn end(self: &std::sync::Arc<Self>) -> Option<u64> {
        let mut outbox = self.outbox.lock();
        let waits = outbox.end().unwrap();
        if waits.is_some() {
            self.switch.nudge(self);
        }
        waits
    }

    /// As `Connection::flush`, by the task.
    fn flush(self: &std::sync::Arc<Self>) {
        let mut outbox = self.outbox.lock();
        let (result, told) = outbox.progress();
        result.unwrap();
        drop(outbox);
        if let Some(position) = told {
            *self.told.lock() = position;
            self.event.notify();
        }
    }

    /// The runtime, and the peer, which takes all that there is whenever the task waits for room: until the peer has so
    /// many bytes, and FIN.
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
                    driving = !(way.switch.is_idle(&way) && way.switch.may_rest(&way));
                } else if over {
                    return;
                } else if way.tasks.load(Ordering::Acquire) == 0 {
                    // What nobody was started for stays where it is, and loom reports a deadlock.
                    way.runtime.wait();
                }
            }
        })
    }

    /// What the environment does until a promise of `send()` is settled.
    fn until_told(&self, waits: Option<u64>) {
        while waits.is_some_and(|position| *self.told.lock() < position) {
            self.event.wait();
        }
    }
}

#[test]
fn all_that_is_sent_leaves_in_order_and_whoever_waits_is_told() {
    bounded(|| {
        let way = Way::new();
        let runtime = way.run(6);
        let first = way.write(b"abc");
        let second = way.write(b"def");
        way.until_told(first);
        way.until_told(second);
        let last = way.end();
        if last.is_none() {
            // FIN left at once: the kernel had all.
            way.runtime.notify();
        }
        way.until_told(last);
        runtime.join().unwrap();
        assert_eq!(way.pipe.state.lock().1, b"abcdef");
        assert_eq!(way.outbox.lock().written(), 6);
    });
}

/// A listener around the door that ships. Numbers stand for connections: positive ones are accepted, and the negative of
/// one is the report of the client that made it.
struct Gate {
    door: Door<()>,
    /// What waits in the kernel.
    kernel: Mutex<Vec<i32>>,
    told: std::sync::Arc<Mutex<Vec<i32>>>,
    listeners: std::sync::Weak<Listeners<Gate>>,
}

impl Gate {
    fn new(listeners: &std::sync::Arc<Listeners<Self>>, told: &std::sync::Arc<Mutex<Vec<i32>>>) {
        let gate = std::sync::Arc::new(Self {
            door: Door::new(Some(())),
            kernel: Mutex::default(),
            told: std::sync::Arc::clone(told),
            listeners: std::sync::Arc::downgrade(listeners),
        });
        assert!(listeners.add(&gate));
    }

    /// As a turn of the poller, or of the task.
    fn serve(&self) {
        self.door.hold(|socket| {
            if socket.is_some() {
                let waiting = std::mem::take(&mut *self.kernel.lock());
                self.told.lock().extend(waiting);
            }
        });
    }

    /// As `Listener::close`; answers whether it was this call that closed it.
    fn close(&self) -> bool {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.remove(self);
        }
        self.door.close().is_some()
    }
}

/// Takes every lock there is: if the last reference goes while one is held, loom reports a deadlock.
impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.find(|_| false);
        }
        self.door.hold(|_| {});
        let _ = self.told.lock();
    }
}

/// As a client connects to the listener of its own environment, if there still is one.
fn connect(listeners: &Listeners<Gate>, number: i32) {
    let Some(gate) = listeners.find(|_| true) else {
        return;
    };
    gate.door.hold(|socket| {
        if socket.is_none() {
            return;
        }
        gate.kernel.lock().push(number);
        let mut events = Vec::new();
        let place = |waiting: &[i32]| waiting.iter().position(|waits| *waits == number);
        let mut kernel = gate.kernel.lock();
        let place = place(&kernel).expect("nobody else accepts");
        events.extend(kernel.drain(..=place));
        drop(kernel);
        events.push(-number);
        gate.told.lock().extend(events);
    });
}

#[test]
fn a_listener_tells_of_a_client_of_its_environment_before_the_client_does() {
    bounded(|| {
        let listeners = std::sync::Arc::new(Listeners::new());
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        Gate::new(&listeners, &told);
        let runtime = {
            let gate = listeners.find(|_| true).unwrap();
            thread::spawn(move || {
                // A foreign client, and two turns: the reference goes with this thread.
                gate.kernel.lock().push(7);
                gate.serve();
                gate.serve();
            })
        };
        connect(&listeners, 1);
        connect(&listeners, 2);
        // The environment ends.
        for gate in listeners.close() {
            assert!(gate.close());
        }
        connect(&listeners, 3);
        runtime.join().unwrap();
        let told = told.lock();
        for number in [1, 2] {
            let place = |wanted| told.iter().position(|told| *told == wanted).unwrap();
            assert!(place(number) < place(-number), "{told:?}");
        }
        assert_eq!(told.iter().filter(|told| **told == -3).count(), 0);
        assert!(told.iter().filter(|told| **told == 7).count() <= 1);
    });
}

#[test]
fn a_listener_that_is_closed_from_two_sides_is_closed_once() {
    loom::model(|| {
        let listeners = std::sync::Arc::new(Listeners::new());
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        Gate::new(&listeners, &told);
        let ended = {
            let listeners = std::sync::Arc::clone(&listeners);
            thread::spawn(move || {
                let gates = listeners.close();
                gates.iter().filter(|gate| gate.close()).count()
            })
        };
        let closed = listeners.find(|_| true).is_some_and(|gate| gate.close());
        connect(&listeners, 1);
        assert_eq!(ended.join().unwrap() + usize::from(closed), 1);
        assert!(listeners.find(|_| true).is_none());
        let told = told.lock();
        assert!(told.is_empty() || *told == [1, -1]);
    });
}
