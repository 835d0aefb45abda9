//! Every interleaving of the hand-over between the runtime and JavaScript, by loom: `npm run model`.

use super::gauge::Gauge;
use super::mailbox::{Event, Mailbox};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

/// What the environment's thread does: sleeps until woken, then takes until there is no more.
fn take_until(mailbox: &Mailbox, woken: &Notify, wanted: usize) -> Vec<u32> {
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
        let take_all = |taken: &mut Vec<u32>| {
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
