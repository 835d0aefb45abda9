//! Watches one busy connection in the epoll instance of the event loop itself.
//!
//! The event loop waits for the poller's epoll instance, and the kernel passes a wake-up on from one
//! to the other. On this way it forgets that the sender of the bytes is about to wait ("synchronous"
//! wake-ups), so that a round trip takes a wake-up of another processor more often. A connection
//! that exchanges one message after the other is therefore watched without the step in between.
//!
//! libuv finds the callback of an event by the descriptor in its data. Here that is the descriptor of
//! the poller, whose callback reads the connection.

use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A connection is elected after this many turns in a row in which it alone was ready.
const TURNS_TO_ELECT: u32 = 64;
/// The elected connection may miss this many turns more than it has something to read in.
const MOST_MISSES: u32 = 16;

/// What the turns of an event loop have shown.
#[derive(Debug, Default)]
struct Election {
    /// The connection that is watched directly, or will be when it is watched again.
    elected: Option<u64>,
    /// How many more misses it may have.
    credit: u32,
    /// The connection that alone was ready in the last turns, and how many these were.
    last: Option<u64>,
    row: u32,
    /// The connections that are registered in the event loop's epoll instance: the elected one, and
    /// until it is watched again the one before it.
    registered: Vec<u64>,
}

/// The epoll instance of an event loop, and the connection that is watched there.
#[derive(Debug)]
pub(super) struct DirectWatch {
    /// A duplicate, because the event loop ends before the last connection is dropped.
    event_loop: OwnedFd,
    key: u64,
    /// Watches the same connection for the runtime, which takes turns in place of a blocked event
    /// loop.
    shadow: OwnedFd,
    election: Mutex<Election>,
}

/// A connection that is to be watched elsewhere: the caller stops watching it and begins again.
pub(super) type Moved = [Option<u64>; 2];

impl DirectWatch {
    /// `event_loop` is a duplicate of its epoll descriptor. Its events with the data `key` take a
    /// turn of the poller.
    pub(super) fn new(event_loop: OwnedFd, key: u64) -> io::Result<Self> {
        Ok(Self {
            event_loop,
            key,
            shadow: epoll::create(CreateFlags::CLOEXEC)?,
            election: Mutex::default(),
        })
    }

    /// An epoll instance that is readable while the connection is.
    pub(super) fn shadow(&self) -> &OwnedFd {
        &self.shadow
    }

    /// The connection that is likely to be ready.
    pub(super) fn elected(&self) -> Option<u64> {
        self.election.lock().elected
    }

    /// Watches the connection `id`, if it is the elected one. Returns whether it does.
    pub(super) fn add(&self, id: u64, fd: impl AsFd) -> bool {
        let mut election = self.election.lock();
        if election.elected != Some(id) {
            return false;
        }
        if !election.registered.contains(&id) {
            election.registered.push(id);
        }
        let events = EventFlags::IN | EventFlags::RDHUP;
        // The shadow first: the last registration is woken first.
        let shadowed = epoll::add(&self.shadow, &fd, EventData::new_u64(self.key), events);
        let added = epoll::add(&self.event_loop, &fd, EventData::new_u64(self.key), events);
        let is_watched = |result| matches!(result, Ok(()) | Err(rustix::io::Errno::EXIST));
        if is_watched(shadowed) && is_watched(added) {
            return true;
        }
        // The system has no room: the poller's epoll instance may have it.
        election.elected = None;
        drop(election);
        self.remove(id, fd);
        false
    }

    /// Stops watching the connection `id`, if it is watched here.
    pub(super) fn remove(&self, id: u64, fd: impl AsFd) {
        let mut election = self.election.lock();
        let before = election.registered.len();
        election.registered.retain(|registered| *registered != id);
        if election.registered.len() == before {
            return;
        }
        let _ = epoll::delete(&self.event_loop, &fd);
        let _ = epoll::delete(&self.shadow, &fd);
    }

    /// The elected connection was read first: `hit` is whether there was anything to read.
    pub(super) fn count(&self, hit: bool) -> Moved {
        let mut election = self.election.lock();
        if hit {
            election.credit = (election.credit + 1).min(MOST_MISSES);
            election.last = None;
            return [None, None];
        }
        election.credit = election.credit.saturating_sub(1);
        if election.credit > 0 {
            return [None, None];
        }
        [election.elected.take(), None]
    }

    /// The connection `id` alone was ready, and is not the elected one.
    pub(super) fn single(&self, id: u64) -> Moved {
        let mut election = self.election.lock();
        if election.last != Some(id) {
            election.last = Some(id);
            election.row = 0;
        }
        election.row += 1;
        if election.row < TURNS_TO_ELECT {
            return [None, None];
        }
        election.last = None;
        election.credit = MOST_MISSES;
        [election.elected.replace(id), Some(id)]
    }
}
