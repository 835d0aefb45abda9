//! The broadcasts of a server that some of its connections have not taken yet.
//!
//! The thread that broadcasts only appends an entry. Threads of the runtime make each connection
//! take the entries (`endpoint/distribution.rs`). A connection that sends something by itself takes
//! its entries first, so that its peer gets everything in the order in which it was sent.
//!
//! The invariants, which `npm run model` checks on this code together with the send queue:
//!
//! - A connection takes each entry once, in order, and before anything that was sent after it.
//! - An entry is removed when all of its connections have taken it.
//! - A connection that leaves the server or a group, or joins one, takes its entries first. Its
//!   memberships are therefore the same for all entries that it has not taken yet.

use super::completion::CompletionGuard;
use crate::sync::{AtomicU64, Mutex, Ordering};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// The identity of a group of connections, which is never reused.
pub(crate) type GroupId = u64;

/// The most entries that the connections take in one round.
const ENTRIES_PER_ROUND: usize = 64;
/// With this many entries, or this many bytes, the appending thread helps to distribute them.
const CROWDED_ENTRIES: usize = 256;
const CROWDED_BYTES: usize = 4 << 20;

/// The connections that an entry is for.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// `None`: all connections of the server.
    pub(crate) group: Option<GroupId>,
    /// The ids of connections that are left out.
    pub(crate) except: Box<[u64]>,
}

/// One broadcast, or several that are sent together.
pub(crate) struct Entry {
    position: u64,
    pub(crate) bytes: Bytes,
    /// How many broadcasts the bytes are.
    pub(crate) messages: u64,
    pub(crate) audience: Audience,
    /// Dropped when all of its connections have written the bytes, or are closed.
    pub(crate) guard: Option<CompletionGuard>,
}

/// The work that is left to the caller of [`BroadcastLog::append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The caller distributes the entries, because no thread does.
    Idle,
    /// The caller has nothing to do.
    Distributing,
    /// The caller helps the threads that distribute the entries.
    Crowded,
}

#[derive(Default)]
struct Entries {
    list: VecDeque<Arc<Entry>>,
    /// The bytes in `list`.
    bytes: usize,
    /// Whether a thread distributes the entries.
    distributing: bool,
}

/// The entries of one server, oldest first.
#[derive(Default)]
pub(crate) struct BroadcastLog {
    /// The position of the next entry. It changes while `entries` is locked.
    end: AtomicU64,
    entries: Mutex<Entries>,
}

impl BroadcastLog {
    /// The position of the next entry.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Appends an entry of `messages` broadcasts.
    pub(crate) fn append(
        &self,
        bytes: Bytes,
        messages: u64,
        audience: Audience,
        guard: Option<CompletionGuard>,
    ) -> Appended {
        let mut entries = self.entries.lock();
        let position = self.end.load(Ordering::Relaxed);
        let is_crowded = entries.list.len() >= CROWDED_ENTRIES || entries.bytes >= CROWDED_BYTES;
        entries.bytes += bytes.len();
        entries.list.push_back(Arc::new(Entry {
            position,
            bytes,
            messages,
            audience,
            guard,
        }));
        self.end.store(position + 1, Ordering::Release);
        if !std::mem::replace(&mut entries.distributing, true) {
            Appended::Idle
        } else if is_crowded {
            Appended::Crowded
        } else {
            Appended::Distributing
        }
    }

    /// The entries from `taken` on that were not removed. All connections of a removed entry have
    /// taken it.
    fn since(&self, taken: u64) -> (Vec<Arc<Entry>>, u64) {
        let entries = self.entries.lock();
        let end = self.end.load(Ordering::Relaxed);
        let missed = usize::try_from(end - taken).unwrap_or(usize::MAX);
        let known = entries.list.len().saturating_sub(missed);
        (entries.list.iter().skip(known).cloned().collect(), end)
    }

    /// The next entries to distribute. If there are none, the caller has stopped distributing.
    pub(crate) fn next_round(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.entries.lock();
        entries.distributing = !entries.list.is_empty();
        let list = entries.list.iter();
        list.take(ENTRIES_PER_ROUND).cloned().collect()
    }

    /// Removes entries of [`next_round`](Self::next_round), because all of their connections have
    /// taken them.
    pub(crate) fn remove(&self, distributed: &[Arc<Entry>]) {
        let bytes: usize = distributed.iter().map(|entry| entry.bytes.len()).sum();
        let mut entries = self.entries.lock();
        // The caller has a reference to each of them, so none is dropped here.
        entries.list.drain(..distributed.len());
        entries.bytes -= bytes;
    }
}

/// A place of a connection in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: GroupId,
    /// Its place in the roster of the group.
    pub(crate) place: u32,
}

/// The subscription of a connection to the broadcasts of its server.
pub(crate) struct Subscription {
    log: Arc<BroadcastLog>,
    /// The position of the next entry that it has to take.
    taken: u64,
    memberships: Vec<Membership>,
}

impl Subscription {
    /// The subscription of a connection that enters the server now. Earlier entries are not for it.
    pub(crate) fn new(log: &Arc<BroadcastLog>) -> Self {
        Self {
            log: Arc::clone(log),
            taken: log.end(),
            memberships: Vec::new(),
        }
    }

    /// Whether the broadcasts are those of `log`.
    pub(crate) fn is_to(&self, log: &Arc<BroadcastLog>) -> bool {
        Arc::ptr_eq(&self.log, log)
    }

    /// Whether there are entries that it has not looked at.
    pub(crate) fn is_behind(&self) -> bool {
        self.log.end() != self.taken
    }

    /// The groups of the connection.
    pub(crate) fn memberships(&mut self) -> &mut Vec<Membership> {
        &mut self.memberships
    }

    /// Returns all entries that it has not looked at, and counts them as taken.
    pub(crate) fn take_all(&mut self, id: u64) -> Vec<Arc<Entry>> {
        let (mut missed, end) = self.log.since(self.taken);
        self.taken = end;
        missed.retain(|entry| self.is_for(entry, id));
        missed
    }

    /// Whether the connection `id` has to take an entry of a round; then it counts as taken.
    pub(crate) fn take(&mut self, entry: &Entry, id: u64) -> bool {
        if entry.position < self.taken {
            return false;
        }
        self.taken = entry.position + 1;
        self.is_for(entry, id)
    }

    fn is_for(&self, entry: &Entry, id: u64) -> bool {
        let Audience { group, except } = &entry.audience;
        let is_member = group.is_none_or(|group| {
            let mut memberships = self.memberships.iter();
            memberships.any(|membership| membership.group == group)
        });
        is_member && !except.contains(&id)
    }
}
