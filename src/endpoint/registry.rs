//! The connections of a server, and groups of them: broadcasts, and pings to all.

use super::distribution::{Distribution, Receiver, Round};
use crate::connection::broadcast_log::{Appended, Audience, BroadcastLog, Entry, Membership};
use crate::connection::completion::CompletionGuard;
use crate::connection::{Connection, Environment, Event};
use crate::events::runtime;
use bytes::Bytes;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The calling thread itself sends a broadcast to up to this many connections, so that the bytes
/// have left when the call returns.
const SENT_AT_CALL: usize = 32;
/// A broadcast that follows the last one by less than this is sent by the runtime, so that a burst
/// is gathered.
const GAP: Duration = Duration::from_micros(100);

/// The groups that one connection may be in.
pub const MAX_GROUPS: usize = 1000;
/// The length of the name of a group, in bytes of UTF-8.
pub const MAX_GROUP_NAME: usize = 1024;

/// Why a connection did not join a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The name is empty or too long.
    #[error("the name of a group must have 1 to {MAX_GROUP_NAME} bytes")]
    Name,
    /// The connection is in too many groups.
    #[error("a connection can be in {MAX_GROUPS} groups")]
    TooMany,
}

/// The connections of one server, in no order, and its groups.
pub struct ConnectionRegistry {
    environment: Arc<Environment>,
    distribution: Distribution<Connection>,
    /// The time of the last broadcast.
    last: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for ConnectionRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionRegistry")
            .field("connections", &self.len())
            .finish_non_exhaustive()
    }
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

impl Receiver for Connection {
    fn take(self: &Arc<Self>, log: &Arc<BroadcastLog>, entries: &[Arc<Entry>]) {
        self.take_entries(log, entries);
    }
}

impl ConnectionRegistry {
    /// A registry without connections.
    pub fn new(environment: Arc<Environment>) -> Arc<Self> {
        Arc::new(Self {
            environment,
            distribution: Distribution::default(),
            last: Mutex::default(),
        })
    }

    // ---- connections ----------------------------------------------------------------------------

    /// Adds a connection whose session has started. Returns its place.
    pub fn add(&self, connection: &Arc<Connection>) -> u32 {
        connection.subscribe(&self.distribution.log);
        self.distribution.all.lock().add(Arc::clone(connection))
    }

    /// Removes the connection at a place, also from its groups.
    pub fn remove(&self, place: u32) {
        let Some(connection) = self.distribution.all.lock().get(place).cloned() else {
            return;
        };
        // The connection takes the broadcasts so far before it is removed, because a round that
        // does not find it removes them from the log.
        let memberships = connection.unsubscribe(&self.distribution.log);
        drop(self.distribution.all.lock().remove(place));
        for Membership { group, place } in memberships {
            let removed = self.distribution.groups.lock().remove(group, place);
            drop(removed);
        }
    }

    /// The number of connections.
    pub fn len(&self) -> usize {
        self.distribution.count(None)
    }

    /// Whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        self.distribution.all.lock().iter().cloned().collect()
    }

    // ---- groups ---------------------------------------------------------------------------------

    /// Adds a connection to a group. False: it is in the group, or it is not in this server.
    pub fn join(&self, connection: &Arc<Connection>, name: &str) -> Result<bool, JoinError> {
        if name.is_empty() || name.len() > MAX_GROUP_NAME {
            return Err(JoinError::Name);
        }
        let Distribution { log, groups, .. } = &self.distribution;
        let joined = connection.with_memberships(log, |memberships| {
            let mut groups = groups.lock();
            let known = groups.id(name);
            if known.is_some_and(|known| memberships.iter().any(|member| member.group == known)) {
                return Ok(false);
            }
            if memberships.len() >= MAX_GROUPS {
                return Err(JoinError::TooMany);
            }
            let group = groups.found(name);
            let place = groups.add(group, Arc::clone(connection));
            memberships.extend(place.map(|place| Membership { group, place }));
            Ok(true)
        });
        joined.unwrap_or(Ok(false))
    }

    /// Removes a connection from a group. False: it is not in the group.
    pub fn leave(&self, connection: &Arc<Connection>, name: &str) -> bool {
        let Distribution { log, groups, .. } = &self.distribution;
        let Some(group) = groups.lock().id(name) else {
            return false;
        };
        let left = connection.with_memberships(log, |memberships| {
            let mut all = memberships.iter();
            let index = all.position(|member| member.group == group)?;
            Some(memberships.swap_remove(index))
        });
        let Some(left) = left.flatten() else {
            return false;
        };
        let removed = groups.lock().remove(group, left.place);
        drop(removed);
        true
    }

    /// The names of the groups that a connection is in.
    pub fn groups(&self, connection: &Arc<Connection>) -> Vec<Arc<str>> {
        let Distribution { log, groups, .. } = &self.distribution;
        let memberships = connection.with_memberships(log, |memberships| memberships.clone());
        let groups = groups.lock();
        let memberships = memberships.unwrap_or_default();
        memberships
            .iter()
            .filter_map(|membership| groups.name(membership.group).cloned())
            .collect()
    }

    /// The number of connections in a group.
    pub fn member_count(&self, name: &str) -> usize {
        let group = self.distribution.groups.lock().id(name);
        group.map_or(0, |group| self.distribution.count(Some(group)))
    }

    // ---- broadcasts -----------------------------------------------------------------------------

    /// Sends the same bytes to every connection, or to those in a group, in order with other bytes
    /// that are sent to them. Connections whose ids are in `except` are left out.
    ///
    /// [`Event::BroadcastDone`] with `id` follows when the kernel has all of the bytes, or the
    /// remaining connections are closed; with `None`, no event follows. Returns the number of
    /// connections, those in `except` included.
    pub fn deliver(
        self: &Arc<Self>,
        bytes: impl Into<Bytes>,
        group: Option<&str>,
        except: &[u64],
        id: Option<u64>,
    ) -> usize {
        let guard = id.map(|id| {
            Arc::new(Broadcast {
                id,
                environment: Arc::clone(&self.environment),
            }) as CompletionGuard
        });
        self.append(bytes.into(), 1, group, except, guard)
    }

    /// Like [`deliver`](Self::deliver), for `messages` broadcasts whose bytes follow each other. No
    /// event follows. The policy for slow consumers takes or drops them together.
    pub fn deliver_all(
        self: &Arc<Self>,
        bytes: impl Into<Bytes>,
        messages: u64,
        group: Option<&str>,
        except: &[u64],
    ) -> usize {
        self.append(bytes.into(), messages, group, except, None)
    }

    /// Appends broadcasts, and then sends them or lets the runtime send them.
    fn append(
        self: &Arc<Self>,
        bytes: Bytes,
        messages: u64,
        group: Option<&str>,
        except: &[u64],
        guard: Option<CompletionGuard>,
    ) -> usize {
        let group = match group.map(|name| self.distribution.groups.lock().id(name)) {
            // The group has no members.
            Some(None) => return 0,
            group => group.flatten(),
        };
        let count = self.distribution.count(group);
        if count == 0 {
            return 0;
        }
        let audience = Audience {
            group,
            except: except.into(),
        };
        let log = &self.distribution.log;
        let appended = log.append(bytes, messages, audience, guard);
        let now = Instant::now();
        let before = self.last.lock().replace(now);
        if count <= SENT_AT_CALL && before.is_none_or(|before| now - before >= GAP) {
            if appended == Appended::Idle {
                self.distribution.distribute();
            } else {
                for connection in self.audience(group) {
                    connection.catch_up();
                }
            }
        } else if let Some(round) = self.distribution.after(appended) {
            self.serve_in_runtime(round);
        }
        count
    }

    /// The connections of a broadcast.
    fn audience(&self, group: Option<u64>) -> Vec<Arc<Connection>> {
        let Some(group) = group else {
            return self.connections();
        };
        let groups = self.distribution.groups.lock();
        let members = groups.members(group);
        members.map_or_else(Vec::new, |members| members.iter().cloned().collect())
    }

    /// Makes the runtime continue a round in which the calling thread takes part.
    fn serve_in_runtime(self: &Arc<Self>, round: Arc<Round>) {
        let registry = Arc::clone(self);
        // Listening has started the runtime.
        let _ = runtime::spawn(async move {
            registry.recruit(&round);
            registry.serve(round).await;
        });
    }

    /// Takes part in a round, and in those that follow it.
    ///
    /// The future is boxed, because it calls `recruit`, which spawns this function.
    fn serve(self: Arc<Self>, mut round: Arc<Round>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut part = Vec::new();
            loop {
                while self.distribution.serve(&round, &mut part) {
                    tokio::task::yield_now().await;
                }
                let Some(next) = self.distribution.leave(&round) else {
                    return;
                };
                round = next;
                self.recruit(&round);
            }
        })
    }

    /// Makes other threads take part in a round, if it has many connections.
    fn recruit(self: &Arc<Self>, round: &Arc<Round>) {
        let Ok(runtime) = runtime::start() else {
            return;
        };
        let threads = runtime.metrics().num_workers();
        for _ in 1..self.distribution.threads_for(round, threads) {
            if round.join() {
                runtime.spawn(Arc::clone(self).serve(Arc::clone(round)));
            }
        }
    }

    // ---- pings ----------------------------------------------------------------------------------

    /// Sends a ping over every connection, or reports its peer as dead.
    pub fn beat(&self) {
        // The lock is not held, because a beat may remove the connection.
        for connection in self.connections() {
            connection.beat();
        }
    }
}
