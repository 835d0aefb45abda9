//! The registry of a server's connections, and what concerns all of them.

use crate::connection::send_queue::CompletionGuard;
use crate::connection::{Connection, Environment, Event};
use crate::events::runtime;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections whose sending one task of a broadcast takes care of, at least.
const FLUSHES_PER_TASK: usize = 64;
/// To so many connections a broadcast is sent by the calling thread, so that it has left at its call.
const FLUSHES_AT_CALL: usize = 32;
/// Unless it follows the last one by less than this: a burst gathers.
const GAP: Duration = Duration::from_micros(100);

/// The connections of one server, in no order.
#[derive(Debug)]
pub struct ConnectionRegistry {
    environment: Arc<Environment>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// When the last broadcast was sent by the calling thread, or by the runtime.
    last: Mutex<Option<Instant>>,
}

/// Says that a broadcast is done when the last send queue lets go of it.
struct Broadcast {
    id: u64,
    environment: Arc<Environment>,
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.environment.post(Event::BroadcastDone(self.id));
    }
}

impl ConnectionRegistry {
    /// A server without connections.
    pub fn new(environment: Arc<Environment>) -> Arc<Self> {
        Arc::new(Self {
            environment,
            connections: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Adds a connection whose session has started.
    pub fn add(&self, connection: &Arc<Connection>) {
        self.connections
            .lock()
            .insert(connection.id(), Arc::clone(connection));
    }

    /// Removes a connection.
    pub fn remove(&self, id: u64) {
        let removed = self.connections.lock().remove(&id);
        drop(removed);
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.connections.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends the same bytes to every connection, in the order of each with what else is sent to
    /// it. [`Event::BroadcastDone`] with `id` follows when the kernel has all of them, or the
    /// connections that did not take them are gone.
    pub fn broadcast(&self, bytes: Vec<u8>, id: u64) {
        let bytes = Bytes::from(bytes);
        let guard: CompletionGuard = Arc::new(Broadcast {
            id,
            environment: Arc::clone(&self.environment),
        });
        let idle: Vec<_> = self
            .connections
            .lock()
            .values()
            .filter(|connection| connection.enqueue(&bytes, &guard))
            .map(Arc::clone)
            .collect();
        drop(guard);
        if idle.is_empty() {
            return;
        }
        let now = Instant::now();
        let before = self.last.lock().replace(now);
        if idle.len() <= FLUSHES_AT_CALL && before.is_none_or(|before| now - before >= GAP) {
            for connection in &idle {
                connection.flush();
            }
            return;
        }
        let Ok(runtime) = runtime::start() else {
            return;
        };
        let tasks = runtime
            .metrics()
            .num_workers()
            .min(idle.len() / FLUSHES_PER_TASK)
            .max(1);
        let share = idle.len().div_ceil(tasks).max(1);
        let mut rest = idle;
        while !rest.is_empty() {
            let batch = rest.split_off(rest.len().saturating_sub(share));
            runtime.spawn(async move {
                for connection in &batch {
                    connection.flush();
                }
            });
        }
    }

    /// Sends a ping over every connection, and tells of those where too many went unanswered.
    pub fn beat(&self) {
        // Not under the lock: what a beat finds may remove the connection.
        let connections: Vec<_> = self.connections.lock().values().cloned().collect();
        for connection in connections {
            connection.beat();
        }
    }

    /// Forgets the pings sent so far.
    pub fn clear_pings(&self) {
        for connection in self.connections.lock().values() {
            connection.clear_pings();
        }
    }
}
