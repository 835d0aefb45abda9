//! Takes the broadcasts of a server, for one connection.

use super::broadcast_log::{BroadcastLog, Entry, Membership, Subscription};
use super::config::SlowConsumer;
use super::send_queue::SendQueue;
use super::{Connection, Event};
use crate::events::error::ConnectionError;
use crate::trace;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Connection {
    /// Locks the send queue after adding all broadcasts so far to it. Code that acts on behalf of
    /// the program uses this function.
    pub(super) fn lock_send_queue(self: &Arc<Self>) -> MutexGuard<'_, SendQueue> {
        let mut send_queue = self.send_queue.lock();
        if let Some(subscription) = send_queue.subscription_if_behind() {
            let missed = subscription.take_all(self.id);
            self.send_entries(&mut send_queue, missed.iter());
        }
        send_queue
    }

    /// Takes the entries of a round that this connection has not taken yet.
    pub(crate) fn take_entries(self: &Arc<Self>, log: &Arc<BroadcastLog>, entries: &[Arc<Entry>]) {
        let mut send_queue = self.send_queue.lock();
        if send_queue.subscription(log).is_none() {
            return;
        }
        // The subscription is taken out, because the entries go to the queue that contains it.
        let mut subscription = send_queue.set_subscription(None);
        let taken = entries.iter().filter(|entry| {
            let mut subscription = subscription.iter_mut();
            subscription.any(|subscription| subscription.take(entry, self.id))
        });
        self.send_entries(&mut send_queue, taken);
        send_queue.set_subscription(subscription);
    }

    /// Sends all broadcasts so far.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        drop(self.lock_send_queue());
    }

    /// Enters a server: its broadcasts from now on are sent over this connection.
    pub(crate) fn subscribe(self: &Arc<Self>, log: &Arc<BroadcastLog>) {
        let mut send_queue = self.lock_send_queue();
        send_queue.set_subscription(Some(Subscription::new(log)));
    }

    /// Leaves the server, after the broadcasts so far. Returns the groups that it was in.
    pub(crate) fn unsubscribe(self: &Arc<Self>, log: &Arc<BroadcastLog>) -> Vec<Membership> {
        let mut send_queue = self.lock_send_queue();
        let Some(subscription) = send_queue.subscription(log) else {
            return Vec::new();
        };
        let memberships = std::mem::take(subscription.memberships());
        send_queue.set_subscription(None);
        memberships
    }

    /// Changes the groups of the connection, after the broadcasts so far. `None`: it is not in the
    /// server.
    pub(crate) fn with_memberships<R>(
        self: &Arc<Self>,
        log: &Arc<BroadcastLog>,
        f: impl FnOnce(&mut Vec<Membership>) -> R,
    ) -> Option<R> {
        let mut send_queue = self.lock_send_queue();
        Some(f(send_queue.subscription(log)?.memberships()))
    }

    /// Sends broadcasts over this connection. The task sends the bytes that the kernel does not
    /// take at once. While the program writes bytes of its own, broadcasts are skipped, because
    /// such a program sends them itself.
    fn send_entries<'a>(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        entries: impl Iterator<Item = &'a Arc<Entry>>,
    ) {
        let was_pending = send_queue.is_pending();
        let before = send_queue.queued();
        let mut is_queued = false;
        for entry in entries {
            if send_queue.is_open() && !send_queue.is_held() && self.admits(send_queue, entry) {
                send_queue.push(entry.bytes.clone(), entry.guard.clone());
                is_queued = true;
            }
        }
        if is_queued && !was_pending {
            self.flush_locked(send_queue);
        }
        self.note_send_mark(before, send_queue.queued());
    }

    /// Applies the policy for slow consumers to a broadcast.
    fn admits(self: &Arc<Self>, send_queue: &mut SendQueue, entry: &Entry) -> bool {
        if send_queue.queued() < self.config.send_high_water_mark {
            return true;
        }
        trace::event!(DEBUG, id = self.id, "send mark reached");
        match self.config.slow_consumer {
            SlowConsumer::Wait => return true,
            SlowConsumer::Drop => {}
            SlowConsumer::Disconnect => self.abort_sending(send_queue, None),
        }
        self.refused.fetch_add(entry.messages, Ordering::Relaxed);
        false
    }

    /// Writes as many queued bytes as the kernel takes. The task writes the rest.
    pub(super) fn flush_locked(self: &Arc<Self>, send_queue: &mut SendQueue) {
        let (result, reported) = send_queue.progress();
        match result {
            Ok(()) => {
                if send_queue.is_pending() {
                    self.wake_task();
                }
            }
            Err(error) => {
                self.abort_sending(send_queue, Some(ConnectionError::new("write", &error)));
            }
        }
        if let Some(position) = reported {
            self.environment.post(Event::Flushed {
                connection: Arc::clone(self),
                position,
            });
        }
    }
}
