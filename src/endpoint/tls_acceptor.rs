//! The state that the TLS handshakes of a server share: configuration, number, failures.

use crate::events::error::HandshakeError;
use crate::transport::tls::{ServerConfig, TlsError};
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How long a handshake may take while others wait for their turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// The least time between two reports of failures of one kind.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The most kinds of failures: more than there are alerts of TLS and errors of the system.
const MAX_KINDS: usize = 512;

/// The handshakes of a server.
#[derive(Debug)]
pub struct TlsAcceptor {
    /// New connections get it.
    config: Mutex<Arc<ServerConfig>>,
    /// How long a handshake may take, including the time that it waits for its turn.
    pub(super) timeout: Duration,
    /// Handshakes that have their turn. A client that has sent nothing yet needs none.
    turns: Semaphore,
    queue: Mutex<Queue>,
    /// Notified when a handshake begins to wait.
    wanted: Notify,
    /// Every handshake under way holds a reference.
    running: Arc<()>,
    failures: Failures,
}

/// The handshakes that wait for a turn.
#[derive(Debug, Default)]
struct Queue {
    waiting: usize,
    /// How many handshakes have made room for others whose turn has not begun yet.
    yielded: usize,
}

/// The failures of a server's handshakes.
#[derive(Debug, Default)]
struct Failures {
    all: AtomicU64,
    timed_out: AtomicU64,
    /// The kinds of failures, and when each was reported last.
    reported: Mutex<Vec<(FailureKind, Instant)>>,
}

/// Failures of one kind usually have the same code in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    Interrupted(i32),
    Tls(i32),
    Refused(&'static str),
    TimedOut,
}

impl TlsAcceptor {
    /// Handshakes by `config`, of which at most `max` run at a time.
    pub fn new(config: Arc<ServerConfig>, max: usize, timeout: Duration) -> Self {
        Self {
            config: Mutex::new(config),
            timeout,
            turns: Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)),
            queue: Mutex::default(),
            wanted: Notify::new(),
            running: Arc::new(()),
            failures: Failures::default(),
        }
    }

    /// The configuration for a new connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.lock())
    }

    /// Changes the configuration for new connections.
    pub fn set_config(&self, config: Arc<ServerConfig>) {
        let before = std::mem::replace(&mut *self.config.lock(), config);
        drop(before);
    }

    /// The handshakes that failed, and those among them that took too long.
    pub fn failed(&self) -> (u64, u64) {
        let Failures { all, timed_out, .. } = &self.failures;
        (
            all.load(Ordering::Relaxed),
            timed_out.load(Ordering::Relaxed),
        )
    }

    /// Counts a handshake as under way until the result is dropped.
    pub(super) fn begun(&self) -> Arc<()> {
        Arc::clone(&self.running)
    }

    /// The handshakes that are under way.
    pub fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 1
    }

    /// Waits for a turn, in the order of the calls.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        if let Ok(turn) = self.turns.try_acquire() {
            return turn;
        }
        self.queue.lock().waiting += 1;
        let _waiting = Waiting(self);
        self.wanted.notify_waiters();
        match self.turns.acquire().await {
            Ok(turn) => turn,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns when a handshake that has had its turn for `PATIENCE` must make room for another.
    pub(super) async fn give_way(&self) {
        tokio::time::sleep(PATIENCE).await;
        loop {
            let mut wanted = pin!(self.wanted.notified());
            // A handshake that begins to wait from now on is noticed.
            wanted.as_mut().enable();
            if self.gives_way() {
                return;
            }
            wanted.await;
        }
    }

    /// Whether more handshakes wait than others have made room for.
    fn gives_way(&self) -> bool {
        let mut queue = self.queue.lock();
        let is_wanted = queue.waiting > queue.yielded;
        if is_wanted {
            queue.yielded += 1;
        }
        is_wanted
    }

    /// Counts a failure. Returns whether to report it: at most one of each kind in
    /// `REPORT_INTERVAL`.
    pub(super) fn note_failure(&self, error: &HandshakeError) -> bool {
        self.failures.all.fetch_add(1, Ordering::Relaxed);
        if *error == HandshakeError::TimedOut {
            self.failures.timed_out.fetch_add(1, Ordering::Relaxed);
        }
        let kind = kind_of(error);
        let now = Instant::now();
        let mut reported = self.failures.reported.lock();
        if let Some((_, last)) = reported.iter_mut().find(|(known, _)| *known == kind) {
            if now.duration_since(*last) < REPORT_INTERVAL {
                return false;
            }
            *last = now;
            return true;
        }
        if reported.len() == MAX_KINDS {
            return false;
        }
        reported.push((kind, now));
        true
    }
}

fn kind_of(error: &HandshakeError) -> FailureKind {
    match error {
        HandshakeError::Interrupted(errno) => FailureKind::Interrupted(*errno),
        HandshakeError::Tls(TlsError::Refused(untrusted)) => FailureKind::Refused(untrusted.code),
        HandshakeError::Tls(error) => FailureKind::Tls(error.number()),
        HandshakeError::TimedOut => FailureKind::TimedOut,
    }
}

/// A handshake that waits for its turn, until it has it or is abandoned.
struct Waiting<'a>(&'a TlsAcceptor);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.waiting -= 1;
        queue.yielded = queue.yielded.saturating_sub(1);
    }
}
