//! Models of the hand-over between the runtime and JavaScript, in every interleaving: `npm run
//! model`.

use super::event::Event;
use super::queue::{EventQueue, Source, Turn};
use super::receive_window::ReceiveWindow;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

/// The models post only events that belong to no connection.
#[derive(Debug)]
enum NoConnection {}

impl Source for NoConnection {
    fn turn(&self) -> &Turn {
        match *self {}
    }

    fn release(self: &std::sync::Arc<Self>, _: usize) {
        match **self {}
    }
}

/// The environment's thread: waits until it is woken, then takes events until there are none.
fn take_until(queue: &EventQueue<NoConnection>, woken: &Notify, wanted: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < wanted {
        // If a wake-up is lost, this waits forever, and loom reports a deadlock.
        woken.wait();
        while let Some((batch, _)) = queue.take() {
            for event in &batch.events {
                match event {
                    Event::BroadcastDone(id) => taken.push(*id),
                    other => panic!("unexpected event {other:?}"),
                }
            }
            queue.recycle(batch);
        }
    }
    taken
}

#[test]
fn an_environment_is_woken_for_every_event() {
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
        let queue = std::sync::Arc::new(EventQueue::<NoConnection>::new(Box::new(wake)));
        let posting = {
            let queue = std::sync::Arc::clone(&queue);
            thread::spawn(move || {
                queue.post(Event::BroadcastDone(1));
                queue.post(Event::BroadcastDone(2));
            })
        };
        let taken = take_until(&queue, &woken, 2);
        posting.join().unwrap();
        assert_eq!(taken, [1, 2]);
        assert!(
            wakes.load(Ordering::Relaxed) <= 2,
            "woken more often than there was something"
        );
        assert!(queue.is_empty());
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
        let queue = std::sync::Arc::new(EventQueue::<NoConnection>::new(Box::new(wake)));
        let posting = [1, 2].map(|id| {
            let queue = std::sync::Arc::clone(&queue);
            thread::spawn(move || queue.post(Event::BroadcastDone(id)))
        });
        let mut taken = take_until(&queue, &woken, 2);
        posting
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn events_of_the_event_loops_thread_and_of_the_runtime_are_all_taken() {
    loom::model(|| {
        let woken = Arc::new(Notify::new());
        let wake = {
            let woken = Arc::clone(&woken);
            move || woken.notify()
        };
        let queue = std::sync::Arc::new(EventQueue::<NoConnection>::new(Box::new(wake)));
        let runtime = {
            let queue = std::sync::Arc::clone(&queue);
            thread::spawn(move || queue.post(Event::BroadcastDone(1)))
        };
        let mut taken = Vec::new();
        let take_all = |taken: &mut Vec<u64>| {
            while let Some((batch, _)) = queue.take() {
                taken.extend(batch.events.iter().map(|event| match event {
                    Event::BroadcastDone(id) => *id,
                    other => panic!("unexpected event {other:?}"),
                }));
                queue.recycle(batch);
            }
        };
        // A turn of the poller: it posts events and takes them without being woken.
        if queue.fill_awake(|| queue.post(Event::BroadcastDone(2))) {
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
        let window = Arc::new(ReceiveWindow::new());
        let woken = Arc::new(Notify::new());
        window.add(2);
        let environment = {
            let (window, woken) = (Arc::clone(&window), Arc::clone(&woken));
            thread::spawn(move || {
                for _ in 0..2 {
                    if window.remove(1, MARK) {
                        woken.notify();
                    }
                }
            })
        };
        // The reader stops at the mark, is resumed, and checks again.
        while window.must_stop(MARK) {
            woken.wait();
        }
        window.add(1);
        environment.join().unwrap();
        assert_eq!(window.amount(), 1);
    });
}

#[test]
fn a_reader_that_stops_is_woken_although_the_mark_moves() {
    // The mark moves because other connections fill the queue or leave it.
    for marks in [[2, 0], [1, 4], [2, 1]] {
        loom::model(move || {
            let window = Arc::new(ReceiveWindow::new());
            let woken = Arc::new(Notify::new());
            window.add(2);
            let environment = {
                let (window, woken) = (Arc::clone(&window), Arc::clone(&woken));
                thread::spawn(move || {
                    for mark in marks {
                        if window.remove(1, mark) {
                            woken.notify();
                        }
                    }
                })
            };
            for mark in marks {
                while window.must_stop(mark) {
                    woken.wait();
                }
            }
            environment.join().unwrap();
            assert_eq!(window.amount(), 0);
        });
    }
}

#[test]
fn a_reader_goes_on_however_often_it_stops() {
    const MARK: usize = 1;
    loom::model(|| {
        let window = Arc::new(ReceiveWindow::new());
        let (woken, filled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let environment = {
            let (window, woken, filled) =
                (Arc::clone(&window), Arc::clone(&woken), Arc::clone(&filled));
            thread::spawn(move || {
                for _ in 0..2 {
                    while window.amount() == 0 {
                        filled.wait();
                    }
                    if window.remove(1, MARK) {
                        woken.notify();
                    }
                }
            })
        };
        for _ in 0..2 {
            while window.must_stop(MARK) {
                woken.wait();
            }
            window.add(1);
            filled.notify();
        }
        environment.join().unwrap();
        assert_eq!(window.amount(), 0);
    });
}
