//! Continues to read a closed connection for a short time if its peer has not ended its side.
//!
//! Closing a socket with unread bytes resets the connection, and the peer may lose the bytes that
//! were sent to it last. So a task reads such a connection and discards the bytes. The task owns
//! the descriptor, which counts against the quota of its listener until the task ends.
//!
//! A peer may send without end, so this module limits the bytes and the time of each connection,
//! the number of connections, and the pace of all of them together.

use crate::events::runtime;
use crate::transport::Stream;
use crate::transport::socket::READ_SIZE;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Limits on reading a closed connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LingerLimits {
    /// The connection is reset after this many bytes.
    bytes: usize,
    /// The total time.
    time: Duration,
    /// The longest time without a byte.
    silence: Duration,
}

impl LingerLimits {
    /// The limits for a connection that the program destroyed: only bytes that were on their way
    /// are expected.
    pub(crate) const SHORT: Self = Self {
        bytes: 8 << 20,
        time: Duration::from_secs(1),
        silence: Duration::from_secs(1),
    };
    /// The limits for a connection that the program ended in order: the peer may read slowly and
    /// keep sending.
    pub(crate) const LONG: Self = Self {
        bytes: 64 << 20,
        time: Duration::from_secs(30),
        silence: Duration::from_secs(5),
    };
}

/// The number of closed connections that the process reads at the same time. Further ones are
/// closed at once.
const AT_ONCE: usize = 512;
/// The pause after a read that found bytes, and the first pause after one that found none. Further
/// pauses without bytes double up to the longest.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// The number of closed connections that are being read.
static LINGERING: AtomicUsize = AtomicUsize::new(0);
/// A task holds the permit from its read until the end of the pause after it, which limits the pace
/// of all tasks together.
static TURN: Semaphore = Semaphore::const_new(1);

thread_local! {
    static SINK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Counts one task in `LINGERING`.
struct Lingering;

impl Lingering {
    /// `None` if there are enough tasks.
    fn begin() -> Option<Self> {
        let begin = |count| (count < AT_ONCE).then_some(count + 1);
        LINGERING
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, begin)
            .is_ok()
            .then_some(Self)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        LINGERING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads a closed connection to its end, in a task of its own. Closes it at once if too many are
/// being read.
pub(crate) fn start(stream: Arc<Stream>, limits: LingerLimits) {
    if let Some(counted) = Lingering::begin() {
        // A task that cannot be spawned is dropped, which closes the stream.
        let _ = runtime::spawn(async move {
            linger(&stream, limits).await;
            drop(stream);
            drop(counted);
        });
    }
}

/// Reads until the peer ends, a limit is reached, or a new connection needs the descriptor.
async fn linger(stream: &Stream, limits: LingerLimits) {
    let began = Instant::now();
    let mut heard = began;
    let mut left = limits.bytes;
    let mut pause = PAUSE;
    let needed = descriptor_needed(stream);
    tokio::pin!(needed);
    loop {
        // The semaphore is never closed.
        let turn = TURN.acquire().await.ok();
        match discard(stream) {
            Ok(0) => return,
            Ok(count) => {
                left = left.saturating_sub(count);
                if left == 0 {
                    stream.reset_on_close();
                    return;
                }
                heard = Instant::now();
                pause = PAUSE;
                tokio::time::sleep(PAUSE).await;
                drop(turn);
            }
            Err(error) if is_for_now(&error) => {
                drop(turn);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = &mut needed => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(_) => return,
        }
        // The kernel delivers the bytes that the peer has not taken yet.
        if began.elapsed() >= limits.time || heard.elapsed() >= limits.silence {
            return;
        }
    }
}

/// Returns when a new connection needs the descriptor of this one.
async fn descriptor_needed(stream: &Stream) {
    let Some(quota) = stream.quota() else {
        return std::future::pending().await;
    };
    loop {
        quota.needed.notified().await;
        // Another closed connection may have made room already.
        if quota.is_overdrawn() {
            return;
        }
    }
}

fn discard(stream: &Stream) -> io::Result<usize> {
    SINK.with_borrow_mut(|sink| {
        sink.resize(READ_SIZE, 0);
        stream.discard(sink)
    })
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests {
    use super::*;
    use crate::transport::descriptor_quota::{DescriptorQuota, SPARE_DESCRIPTORS};
    use socket2::{Domain, Socket, Type};
    use std::io::Write;

    fn pair() -> (Stream, Socket) {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        (Stream::new(near).unwrap(), far)
    }

    /// Sends without end until the other end closes. Returns the number of bytes.
    fn flood(mut peer: Socket) -> std::thread::JoinHandle<usize> {
        std::thread::spawn(move || {
            let bytes = vec![b'x'; READ_SIZE];
            let mut sent = 0;
            while let Ok(count) = peer.write(&bytes) {
                sent += count;
            }
            sent
        })
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn reading_a_closed_connection_whose_peer_sends_without_end_lets_other_tasks_run() {
        let (stream, peer) = pair();
        let peer = flood(peer);
        runtime().block_on(async {
            // There is one thread: a task that does not yield keeps it.
            let lingering = tokio::spawn(async move { linger(&stream, LingerLimits::LONG).await });
            for _ in 0..50 {
                tokio::time::sleep(PAUSE).await;
            }
            assert!(!lingering.is_finished());
            lingering.abort();
        });
        peer.join().unwrap();
    }

    #[test]
    fn a_peer_that_sends_without_end_is_read_up_to_a_limit() {
        const BOUND: usize = 1 << 20;
        let (stream, peer) = pair();
        let peer = flood(peer);
        let limits = LingerLimits {
            bytes: BOUND,
            ..LingerLimits::LONG
        };
        runtime().block_on(linger(&stream, limits));
        drop(stream);
        // The kernel's buffers take some more.
        let sent = peer.join().unwrap();
        assert!((BOUND..3 * BOUND).contains(&sent), "{sent}");
    }

    #[test]
    fn a_peer_that_ends_is_not_waited_for() {
        let (stream, peer) = pair();
        drop(peer);
        runtime().block_on(linger(&stream, LingerLimits::LONG));
    }

    #[test]
    fn a_connection_counts_against_the_quota_until_its_descriptor_is_closed() {
        let quota = DescriptorQuota::new();
        quota.set_max(1);
        let (stream, _peer) = pair();
        let stream = Arc::new(stream.with_quota(&quota));
        assert!(quota.is_exhausted(1));
        let still = Arc::clone(&stream);
        drop(stream);
        assert!(quota.is_overdrawn());
        drop(still);
        assert!(!quota.is_overdrawn());
    }

    #[test]
    fn a_closed_connection_makes_room_for_a_new_one() {
        let quota = DescriptorQuota::new();
        quota.set_max(1);
        let (stream, _peer) = pair();
        let stream = stream.with_quota(&quota);
        runtime().block_on(async {
            let lingering = tokio::spawn(async move { linger(&stream, LingerLimits::LONG).await });
            tokio::task::yield_now().await;
            assert!(!quota.is_exhausted(0));
            lingering.await.unwrap();
        });
        assert!(!quota.is_overdrawn());
    }

    #[test]
    fn new_connections_exceed_the_limit_only_by_the_spare_descriptors() {
        let quota = DescriptorQuota::new();
        quota.set_max(2);
        let mut held = Vec::new();
        while !quota.is_exhausted(0) {
            let (stream, peer) = pair();
            held.push((stream.with_quota(&quota), peer));
            assert!(held.len() <= 2 + SPARE_DESCRIPTORS);
        }
    }
}
