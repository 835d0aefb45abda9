//! Gives the broadcasts of a server to its connections, in rounds: several threads take parts of
//! the connections, and each connection takes all entries of the round at once.
//!
//! An entry stays in the log until the round is over, because a connection that sends something by
//! itself must find it there. `npm run model` checks this.

use super::groups::Groups;
use super::roster::Roster;
use crate::connection::broadcast_log::{Appended, BroadcastLog, Entry, GroupId};
use crate::sync::{AtomicUsize, Mutex, Ordering};
use std::sync::Arc;

/// A thread takes this many connections at a time.
const PART: usize = 64;

/// A connection, as the distribution needs it.
pub(crate) trait Receiver {
    /// Takes and sends the entries that it has not taken yet.
    fn take(self: &Arc<Self>, log: &Arc<BroadcastLog>, entries: &[Arc<Entry>]);
}

/// A round: entries that are being given to their connections.
pub(crate) struct Round {
    entries: Vec<Arc<Entry>>,
    /// The groups whose members take the entries; `None` means all connections.
    sources: Vec<Option<GroupId>>,
    /// The source and the place at which the next part begins.
    next: Mutex<(usize, usize)>,
    /// The number of threads that take part.
    threads: AtomicUsize,
}

impl Round {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
        let mut sources: Vec<_> = entries.iter().map(|entry| entry.audience.group).collect();
        sources.sort_unstable();
        sources.dedup();
        if sources.first() == Some(&None) {
            // This includes the members of all groups.
            sources.truncate(1);
        }
        Self {
            entries,
            sources,
            next: Mutex::new((0, 0)),
            threads: AtomicUsize::new(1),
        }
    }

    /// Takes part as one more thread. False: the round is over.
    pub(crate) fn join(&self) -> bool {
        self.threads
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |threads| {
                (threads > 0).then_some(threads + 1)
            })
            .is_ok()
    }

    /// Called by a thread that has found no more parts. Returns whether it was the last one that
    /// took part.
    fn leave(&self) -> bool {
        self.threads.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// The connections and the groups of a server, and the broadcasts that they have not taken yet.
pub(crate) struct Distribution<C> {
    pub(crate) log: Arc<BroadcastLog>,
    pub(crate) all: Mutex<Roster<C>>,
    pub(crate) groups: Mutex<Groups<C>>,
    /// The round under way.
    round: Mutex<Option<Arc<Round>>>,
}

impl<C> Default for Distribution<C> {
    fn default() -> Self {
        Self {
            log: Arc::default(),
            all: Mutex::default(),
            groups: Mutex::default(),
            round: Mutex::default(),
        }
    }
}

impl<C: Receiver> Distribution<C> {
    /// Begins the next round, in which the calling thread takes part. `None`: there are no entries,
    /// and the next thread that appends one must distribute it.
    ///
    /// Only the thread for which [`Appended::Idle`] was returned, or which was the last to
    /// leave a round, calls this.
    pub(crate) fn begin(&self) -> Option<Arc<Round>> {
        let entries = self.log.next_round();
        if entries.is_empty() {
            return None;
        }
        let round = Arc::new(Round::new(entries));
        *self.round.lock() = Some(Arc::clone(&round));
        Some(round)
    }

    /// The round under way, in which the calling thread now takes part.
    pub(crate) fn join(&self) -> Option<Arc<Round>> {
        let round = self.round.lock().clone()?;
        round.join().then_some(round)
    }

    /// Gives the entries of a round to the next part of the connections. False: there are no more.
    pub(crate) fn serve(&self, round: &Round, part: &mut Vec<Arc<C>>) -> bool {
        if !self.next_part(round, part) {
            return false;
        }
        for connection in part.drain(..) {
            connection.take(&self.log, &round.entries);
        }
        true
    }

    fn next_part(&self, round: &Round, part: &mut Vec<Arc<C>>) -> bool {
        let mut next = round.next.lock();
        while let Some(source) = round.sources.get(next.0) {
            let place = match source {
                None => self.all.lock().part(next.1, PART, part),
                Some(group) => {
                    let groups = self.groups.lock();
                    let members = groups.members(*group);
                    members.and_then(|members| members.part(next.1, PART, part))
                }
            };
            *next = place.map_or((next.0 + 1, 0), |place| (next.0, place));
            if part.len() >= PART {
                break;
            }
        }
        !part.is_empty()
    }

    /// Ends the part of the calling thread in a round. If it was the last, the entries are removed,
    /// and the next round begins.
    pub(crate) fn leave(&self, round: &Arc<Round>) -> Option<Arc<Round>> {
        if !round.leave() {
            return None;
        }
        *self.round.lock() = None;
        self.log.remove(&round.entries);
        self.begin()
    }

    /// The useful number of threads for a round, up to `limit`.
    pub(crate) fn threads_for(&self, round: &Round, limit: usize) -> usize {
        let connections: usize = round.sources.iter().map(|source| self.count(*source)).sum();
        limit.min(connections / PART).max(1)
    }

    /// The number of connections of the server, or of a group.
    pub(crate) fn count(&self, group: Option<GroupId>) -> usize {
        match group {
            None => self.all.lock().len(),
            Some(group) => {
                let groups = self.groups.lock();
                groups.members(group).map_or(0, Roster::len)
            }
        }
    }

    /// Distributes entries on the calling thread until there are none, without other threads.
    pub(crate) fn distribute(&self) {
        let mut next = self.begin();
        let mut part = Vec::new();
        while let Some(round) = next {
            while self.serve(&round, &mut part) {}
            next = self.leave(&round);
        }
    }

    /// Runs the part of the distribution that the appending thread does at once. Returns the round
    /// that other threads must continue.
    pub(crate) fn after(&self, appended: Appended) -> Option<Arc<Round>> {
        match appended {
            Appended::Idle => self.begin(),
            Appended::Distributing => None,
            Appended::Crowded => {
                let round = self.join()?;
                let mut part = Vec::new();
                while self.serve(&round, &mut part) {}
                self.leave(&round)
            }
        }
    }
}
