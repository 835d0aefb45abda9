//! Models of the order between broadcasts, which the runtime gives to the connections, and the
//! messages that the program sends to single connections: `npm run model`.

use crate::connection::broadcast_log::{Audience, BroadcastLog, Entry, Membership, Subscription};
use crate::connection::completion::CompletionGuard;
use crate::connection::loom::bounded;
use crate::connection::send_queue::SendQueue;
use crate::endpoint::distribution::{Distribution, Receiver, Round};
use crate::sync::Mutex;
use crate::transport::Outgoing;
use bytes::Bytes;
use loom::sync::Notify;
use loom::thread;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// A socket whose kernel takes everything.
#[derive(Default)]
struct Sink(Mutex<Vec<u8>>);

impl Outgoing for Sink {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().map(|slice| self.send(slice)).sum()
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
        Ok(())
    }
}

/// The sending side of a connection, around the real send queue.
struct Line {
    id: u64,
    send_queue: Mutex<SendQueue<Sink>>,
    sink: Arc<Sink>,
}

impl Line {
    fn new(id: u64) -> Arc<Self> {
        let sink = Arc::new(Sink::default());
        Arc::new(Self {
            id,
            send_queue: Mutex::new(SendQueue::new(Arc::clone(&sink))),
            sink,
        })
    }

    /// Like `Connection::lock_send_queue`, with `f` while it is locked.
    fn with_send_queue<R>(&self, f: impl FnOnce(&mut SendQueue<Sink>) -> R) -> R {
        let mut send_queue = self.send_queue.lock();
        if let Some(subscription) = send_queue.subscription_if_behind() {
            let missed = subscription.take_all(self.id);
            send(&mut send_queue, missed.iter());
        }
        f(&mut send_queue)
    }

    /// Like `Connection::write`.
    fn write(&self, bytes: &'static [u8]) {
        let waits = self.with_send_queue(|queue| queue.write(bytes, Bytes::copy_from_slice));
        assert_eq!(waits.unwrap(), None);
    }

    fn sent(&self) -> String {
        String::from_utf8(self.sink.0.lock().clone()).unwrap()
    }
}

/// Like `Connection::send_entries`.
fn send<'a>(queue: &mut SendQueue<Sink>, entries: impl Iterator<Item = &'a Arc<Entry>>) {
    for entry in entries {
        queue.push(entry.bytes.clone(), entry.guard.clone());
    }
    queue.progress().0.unwrap();
}

impl Receiver for Line {
    /// Like `Connection::take_entries`.
    fn take(self: &Arc<Self>, log: &Arc<BroadcastLog>, entries: &[Arc<Entry>]) {
        let mut queue = self.send_queue.lock();
        if queue.subscription(log).is_none() {
            return;
        }
        let mut subscription = queue.set_subscription(None);
        let taken = entries.iter().filter(|entry| {
            let mut subscription = subscription.iter_mut();
            subscription.any(|subscription| subscription.take(entry, self.id))
        });
        send(&mut queue, taken);
        queue.set_subscription(subscription);
    }
}

/// A server around the real distribution. Its runtime is one thread.
struct Server {
    distribution: Distribution<Line>,
    /// Rounds that the runtime has not served yet, and whether no more will follow.
    rounds: Mutex<(Vec<Arc<Round>>, bool)>,
    work: Notify,
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            distribution: Distribution::default(),
            rounds: Mutex::default(),
            work: Notify::new(),
        })
    }

    /// Like `ConnectionRegistry::add`.
    fn add(&self, line: &Arc<Line>) -> u32 {
        let log = &self.distribution.log;
        line.with_send_queue(|queue| queue.set_subscription(Some(Subscription::new(log))));
        self.distribution.all.lock().add(Arc::clone(line))
    }

    /// Like `ConnectionRegistry::remove`, for a connection without groups.
    fn remove(&self, line: &Line, place: u32) {
        line.with_send_queue(|queue| queue.set_subscription(None));
        drop(self.distribution.all.lock().remove(place));
    }

    /// Like `ConnectionRegistry::join`. Returns the id of the group.
    fn join(&self, line: &Arc<Line>, name: &str) -> Membership {
        let Distribution { log, groups, .. } = &self.distribution;
        line.with_send_queue(|queue| {
            let mut groups = groups.lock();
            let group = groups.found(name);
            let place = groups.add(group, Arc::clone(line)).unwrap();
            let membership = Membership { group, place };
            let subscription = queue.subscription(log).unwrap();
            subscription.memberships().push(membership);
            membership
        })
    }

    /// Like `ConnectionRegistry::leave`.
    fn leave(&self, line: &Line, Membership { group, place }: Membership) {
        let Distribution { log, groups, .. } = &self.distribution;
        line.with_send_queue(|queue| {
            let subscription = queue.subscription(log).unwrap();
            subscription.memberships().clear();
        });
        drop(groups.lock().remove(group, place));
    }

    /// Like `ConnectionRegistry::deliver`, which leaves the sending to the runtime.
    fn deliver(&self, bytes: &'static [u8], group: Option<u64>, guard: Option<CompletionGuard>) {
        let audience = Audience {
            group,
            except: Box::default(),
        };
        let appended = self
            .distribution
            .log
            .append(Bytes::from_static(bytes), 1, audience, guard);
        if let Some(round) = self.distribution.after(appended) {
            self.rounds.lock().0.push(round);
            self.work.notify();
        }
    }

    /// The runtime, until `finish` is called and everything is distributed.
    fn run(self: &Arc<Self>) -> thread::JoinHandle<()> {
        let server = Arc::clone(self);
        thread::spawn(move || {
            loop {
                let (round, over) = {
                    let (rounds, over) = &mut *server.rounds.lock();
                    (rounds.pop(), *over)
                };
                match round {
                    Some(round) => server.serve(round),
                    None if over => return,
                    None => server.work.wait(),
                }
            }
        })
    }

    /// Like `ConnectionRegistry::serve`.
    fn serve(&self, mut round: Arc<Round>) {
        let mut part = Vec::new();
        loop {
            while self.distribution.serve(&round, &mut part) {}
            match self.distribution.leave(&round) {
                Some(next) => round = next,
                None => return,
            }
        }
    }

    fn finish(&self, runtime: thread::JoinHandle<()>) {
        self.rounds.lock().1 = true;
        self.work.notify();
        runtime.join().unwrap();
    }
}

#[test]
fn broadcasts_and_messages_to_one_connection_leave_in_the_order_of_the_calls() {
    bounded(|| {
        let (server, line) = (Server::new(), Line::new(1));
        server.add(&line);
        let runtime = server.run();
        server.deliver(b"a", None, None);
        line.write(b"b");
        server.deliver(b"c", None, None);
        server.deliver(b"d", None, None);
        line.write(b"e");
        server.finish(runtime);
        assert_eq!(line.sent(), "abcde");
    });
}

#[test]
fn threads_that_share_a_round_give_each_entry_to_each_connection_once() {
    bounded(|| {
        let (server, lines) = (Server::new(), [Line::new(1), Line::new(2)]);
        for line in &lines {
            server.add(line);
        }
        let runtime = server.run();
        server.deliver(b"a", None, None);
        server.deliver(b"b", None, None);
        // Acts like a thread that finds the log crowded.
        if let Some(round) = server.distribution.join() {
            server.serve(round);
        }
        lines[1].write(b"c");
        server.finish(runtime);
        assert_eq!(lines[0].sent(), "ab");
        assert_eq!(lines[1].sent(), "abc");
    });
}

#[test]
fn a_connection_gets_the_messages_of_the_groups_that_it_is_in_at_the_time_of_the_call() {
    bounded(|| {
        let (server, lines) = (Server::new(), [Line::new(1), Line::new(2)]);
        for line in &lines {
            server.add(line);
        }
        let membership = server.join(&lines[0], "group");
        let runtime = server.run();
        server.deliver(b"a", Some(membership.group), None);
        server.join(&lines[1], "group");
        server.leave(&lines[0], membership);
        server.deliver(b"b", Some(membership.group), None);
        lines[0].write(b"c");
        server.finish(runtime);
        assert_eq!(lines[0].sent(), "ac");
        assert_eq!(lines[1].sent(), "b");
    });
}

#[test]
fn a_connection_that_leaves_the_server_gets_the_broadcasts_so_far() {
    bounded(|| {
        let (server, lines) = (Server::new(), [Line::new(1), Line::new(2)]);
        let place = server.add(&lines[0]);
        let runtime = server.run();
        let done: CompletionGuard = Arc::new(());
        server.deliver(b"a", None, Some(Arc::clone(&done)));
        server.add(&lines[1]);
        server.remove(&lines[0], place);
        server.deliver(b"b", None, None);
        server.finish(runtime);
        assert_eq!(lines[0].sent(), "a");
        assert_eq!(lines[1].sent(), "b");
        assert_eq!(Arc::strong_count(&done), 1, "the broadcast is not done");
    });
}
