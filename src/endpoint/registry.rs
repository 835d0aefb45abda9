//! The connections of a server: broadcasts, and pings to all.

use crate::connection::send_queue::CompletionGuard;
use crate::connection::{Connection, Environment, Event};
use crate::events::runtime;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One task of a broadcast flushes at least this many connections.
const FLUSHES_PER_TASK: usize = 64;
/// The calling thread itself flushes up to this many connections, so that the bytes have left when
/// the call returns.
const FLUSHES_AT_CALL: usize = 32;
/// A broadcast that follows the last one by less than this is flushed by the runtime, so that a
/// burst is gathered.
const GAP: Duration = Duration::from_micros(100);

/// The connections of one server, in no order.
#[derive(Debug)]
pub struct ConnectionRegistry {
    environment: Arc<Environment>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// The time of the last broadcast.
    last: Mutex<Option<Instant>>,
}

/// Reports that a broadcast is done when the last send queue drops it.
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
    /// A registry without connections.
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

    /// The number of connections.
    pub fn len(&self) -> usize {
        self.connections.lock().len()
    }

    /// Whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends the same bytes to every connection, in order with other bytes that are sent to it.
    /// [`Event::BroadcastDone`] with `id` follows when the kernel has all of them, or the remaining
    /// connections are closed.
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

    /// Sends a ping over every connection, or reports its peer as dead.
    pub fn beat(&self) {
        // Without the lock: a beat may remove the connection.
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
