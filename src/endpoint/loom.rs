//! Models of the order between a listener and the clients of its own environment: `npm run model`.

mod broadcast;

use super::loopback::{AcceptGate, ListenerRegistry};
use crate::connection::loom::bounded;
use crate::sync::Mutex;
use loom::thread;

/// A listener around the real gate. Numbers stand for connections: a positive one is accepted, and
/// its negative is the report of the client that made it.
struct Gate {
    gate: AcceptGate<()>,
    /// The connections that wait in the kernel.
    kernel: Mutex<Vec<i32>>,
    reported: std::sync::Arc<Mutex<Vec<i32>>>,
    listeners: std::sync::Weak<ListenerRegistry<Gate>>,
}

impl Gate {
    fn new(
        listeners: &std::sync::Arc<ListenerRegistry<Self>>,
        reported: &std::sync::Arc<Mutex<Vec<i32>>>,
    ) {
        let gate = std::sync::Arc::new(Self {
            gate: AcceptGate::new(Some(())),
            kernel: Mutex::default(),
            reported: std::sync::Arc::clone(reported),
            listeners: std::sync::Arc::downgrade(listeners),
        });
        assert!(listeners.add(&gate));
    }

    /// Like a turn of the poller, or of the task.
    fn serve(&self) {
        self.gate.hold(|socket| {
            if socket.is_some() {
                let waiting = std::mem::take(&mut *self.kernel.lock());
                self.reported.lock().extend(waiting);
            }
        });
    }

    /// Like `Listener::close`. Returns whether this call closed it.
    fn close(&self) -> bool {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.remove(self);
        }
        self.gate.close().is_some()
    }
}

/// Takes every lock: if the last reference is dropped under a lock, loom reports a deadlock.
impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.find(|_| false);
        }
        self.gate.hold(|_| {});
        let _ = self.reported.lock();
    }
}

/// A client connects to the listener of its own environment, if it is open.
fn connect(listeners: &ListenerRegistry<Gate>, number: i32) {
    let Some(gate) = listeners.find(|_| true) else {
        return;
    };
    gate.gate.hold(|socket| {
        if socket.is_none() {
            return;
        }
        gate.kernel.lock().push(number);
        let mut events = Vec::new();
        let place = |waiting: &[i32]| waiting.iter().position(|waits| *waits == number);
        let mut kernel = gate.kernel.lock();
        let place = place(&kernel).expect("no other thread accepts");
        events.extend(kernel.drain(..=place));
        drop(kernel);
        events.push(-number);
        gate.reported.lock().extend(events);
    });
}

#[test]
fn a_listener_reports_a_client_of_its_environment_before_the_client_does() {
    bounded(|| {
        let listeners = std::sync::Arc::new(ListenerRegistry::default());
        let reported = std::sync::Arc::new(Mutex::new(Vec::new()));
        Gate::new(&listeners, &reported);
        let runtime = {
            let gate = listeners.find(|_| true).unwrap();
            thread::spawn(move || {
                // A foreign client connects, and the listener takes two turns. This thread drops
                // the reference.
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
        let reported = reported.lock();
        for number in [1, 2] {
            let place = |wanted| {
                reported
                    .iter()
                    .position(|reported| *reported == wanted)
                    .unwrap()
            };
            assert!(place(number) < place(-number), "{reported:?}");
        }
        assert_eq!(
            reported.iter().filter(|reported| **reported == -3).count(),
            0
        );
        assert!(reported.iter().filter(|reported| **reported == 7).count() <= 1);
    });
}

#[test]
fn a_listener_that_is_closed_from_two_sides_is_closed_once() {
    loom::model(|| {
        let listeners = std::sync::Arc::new(ListenerRegistry::default());
        let reported = std::sync::Arc::new(Mutex::new(Vec::new()));
        Gate::new(&listeners, &reported);
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
        let reported = reported.lock();
        assert!(reported.is_empty() || *reported == [1, -1]);
    });
}
