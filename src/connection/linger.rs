//! The last part of a connection that was closed before its peer had ended.
//!
//! Closing a socket with unread bytes resets the connection, and the peer may lose the bytes that it was sent last. So
//! such a connection is read a little longer, by one task that throws away what comes. The task owns the descriptor,
//! and with it the connection's seat at its listener.
//!
//! A peer may send without end, so everything here has a bound: the bytes and the time of each connection, how many
//! are read at once, and the pace of all of them together.

use crate::events::runtime;
use crate::transport::Stream;
use crate::transport::socket::READ_SIZE;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How much longer a connection is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LingerLimits {
    /// Bytes. Past them the connection is reset.
    bytes: usize,
    /// The time over all.
    time: Duration,
    /// The time between two bytes.
    silence: Duration,
}

impl LingerLimits {
    /// For a connection that the program destroyed: the bytes that were under way to this end.
    pub(crate) const SHORT: Self = Self {
        bytes: 8 << 20,
        time: Duration::from_secs(1),
        silence: Duration::from_secs(1),
    };
    /// For a connection that the program ended first: the peer may be slow to read what it was sent, and goes on sending
    /// meanwhile.
    pub(crate) const LONG: Self = Self {
        bytes: 64 << 20,
        time: Duration::from_secs(30),
        silence: Duration::from_secs(5),
    };
}

/// How many closed connections are read at once, in the process. Beyond that they are closed without it.
const AT_ONCE: usize = 512;
/// The pause behind each read that found something, and the first behind one that found nothing. The latter double.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// How many closed connections are being read.
static LINGERING: AtomicUsize = AtomicUsize::new(0);
/// Whoever reads has it, until the pause behind it is over: that is the pace of all together.
static TURN: Semaphore = Semaphore::const_new(1);

thread_local! {
    static SINK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Counts a task among those that linger.
struct Lingering;

impl Lingering {
    /// Nothing if there are enough.
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

/// Reads a closed connection to its end, in a task of its own; closes it at once if too many are being read.
pub(crate) fn start(stream: Arc<Stream>, patience: LingerLimits) {
    if let Some(counted) = Lingering::begin() {
        // What cannot be run is dropped, which closes it.
        let _ = runtime::spawn(async move {
            linger(&stream, patience).await;
            drop(stream);
            drop(counted);
        });
    }
}

/// Reads until the peer ended, or `patience` is at its end, or a new connection needs the place.
async fn linger(stream: &Stream, patience: LingerLimits) {
    let began = Instant::now();
    let mut heard = began;
    let mut left = patience.bytes;
    let mut pause = PAUSE;
    let wanted = wanted(stream);
    tokio::pin!(wanted);
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
                    () = &mut wanted => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(_) => return,
        }
        // What the peer has not taken by now is the kernel's to deliver.
        if began.elapsed() >= patience.time || heard.elapsed() >= patience.silence {
            return;
        }
    }
}

/// Comes back when a new connection needs the place of this one.
async fn wanted(stream: &Stream) {
    let Some(quota) = stream.quota() else {
        return std::future::pending().await;
    };
    loop {
        quota.wanted.notified().await;
        // Another one may have closed since.
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

    /// Sends without end, until the other end is gone. Answers how much that was.
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
    fn a_closed_connection_whose_peer_sends_without_end_leaves_others_their_turns() {
        let (stream, peer) = pair();
        let peer = flood(peer);
        runtime().block_on(async {
            // One thread: whoever does not yield keeps it.
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
    fn a_peer_that_sends_without_end_is_read_so_far_and_no_farther() {
        const BOUND: usize = 1 << 20;
        let (stream, peer) = pair();
        let peer = flood(peer);
        let patience = LingerLimits {
            bytes: BOUND,
            ..LingerLimits::LONG
        };
        runtime().block_on(linger(&stream, patience));
        drop(stream);
        // The kernel took some more.
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
    fn a_seat_is_held_until_the_descriptor_is_closed() {
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
    fn new_connections_do_not_outrun_the_closed_ones_by_far() {
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
