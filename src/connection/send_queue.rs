//! Bytes that wait to be sent over one connection, in order.
//!
//! The invariants, which `npm run model` checks on this code together with the reader state: all
//! accepted bytes reach the stream once and in order, and FIN follows them. Every position that
//! JavaScript waits for is reported.

use super::broadcast_log::{BroadcastLog, Subscription};
use super::completion::CompletionGuard;
use crate::transport::{Outgoing, Stream};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// The most chunks handed to the kernel in one call.
const CHUNKS_PER_WRITE: usize = 64;

struct Chunk {
    bytes: Bytes,
    _guard: Option<CompletionGuard>,
}

/// Pings and pongs that are kept back while the program writes bytes of its own.
#[derive(Default)]
struct KeptFrames {
    bytes: Vec<u8>,
}

/// Whether the sending direction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The program may still send.
    Open,
    /// The program ended it; FIN follows the queued bytes.
    Wanted,
    /// FIN was sent.
    Done,
}

/// The sending direction of a connection.
pub(crate) struct SendQueue<S = Stream> {
    /// `None` once the connection is closed or broken.
    stream: Option<Arc<S>>,
    queue: VecDeque<Chunk>,
    /// Bytes in `queue`.
    queued: usize,
    /// Bytes accepted since the connection began.
    accepted: u64,
    end: End,
    /// JavaScript waits for a position, so progress must be reported.
    awaited: bool,
    /// Present while the program writes bytes of its own. Boxed, because few connections need it.
    held: Option<Box<KeptFrames>>,
    /// The broadcasts of the server, while the connection is in it.
    subscription: Option<Subscription>,
}

impl<S: Outgoing> SendQueue<S> {
    pub(crate) fn new(stream: Arc<S>) -> Self {
        Self {
            stream: Some(stream),
            queue: VecDeque::new(),
            queued: 0,
            accepted: 0,
            end: End::Open,
            awaited: false,
            held: None,
            subscription: None,
        }
    }

    /// Enters or leaves a server. Returns the subscription so far.
    pub(crate) fn set_subscription(
        &mut self,
        subscription: Option<Subscription>,
    ) -> Option<Subscription> {
        std::mem::replace(&mut self.subscription, subscription)
    }

    /// The broadcasts of the server that `log` belongs to, if the connection is in it.
    pub(crate) fn subscription(&mut self, log: &Arc<BroadcastLog>) -> Option<&mut Subscription> {
        self.subscription
            .as_mut()
            .filter(|subscription| subscription.is_to(log))
    }

    /// The broadcasts of the server, if there are some that the connection has not looked at.
    pub(crate) fn subscription_if_behind(&mut self) -> Option<&mut Subscription> {
        self.subscription
            .as_mut()
            .filter(|subscription| subscription.is_behind())
    }

    /// Begins to keep pings and pongs back: the program writes bytes of its own.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Ends keeping back. Returns the pings and pongs that were kept.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        self.held.take().unwrap_or_default().bytes
    }

    /// Whether the program is writing bytes of its own.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Keeps a ping or pong back, or discards it if `limit` bytes are kept already. Returns false
    /// if it can be sent now.
    pub(crate) fn keep(&mut self, frame: &[u8], limit: usize) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        if held.bytes.len() + frame.len() <= limit {
            held.bytes.extend_from_slice(frame);
        }
        true
    }

    /// Whether bytes are accepted.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some() && self.end == End::Open
    }

    /// Whether the program ended this direction.
    pub(crate) fn has_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Whether bytes or FIN wait for the kernel.
    pub(crate) fn is_pending(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            !self.queue.is_empty() || self.end == End::Wanted || !stream.is_flushed()
        })
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// The number of bytes that the kernel has accepted since the connection began.
    pub(crate) fn written(&self) -> u64 {
        let held = self.stream.as_ref().map_or(0, |stream| stream.held());
        self.accepted - self.queued as u64 - held as u64
    }

    /// Writes `bytes`, and queues those that the kernel does not take. If a position is returned,
    /// the caller must ensure that [`progress`](Self::progress) is called.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> io::Result<Option<u64>> {
        let done = self.write_now(bytes)?;
        if done < bytes.len() {
            self.push(keep(&bytes[done..]), None);
        }
        Ok(self.wait())
    }

    /// Ends this direction: FIN follows the queued bytes. Returns the same as
    /// [`write`](Self::write).
    pub(crate) fn end(&mut self) -> io::Result<Option<u64>> {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
        self.flush()?;
        Ok(self.wait())
    }

    /// The position to wait for, if bytes wait. Then the caller must ensure that
    /// [`progress`](Self::progress) is called.
    pub(crate) fn wait(&mut self) -> Option<u64> {
        let pending = self.is_pending();
        self.awaited |= pending;
        pending.then_some(self.accepted)
    }

    /// Writes queued bytes. Also returns the position to report, if JavaScript waits for one and
    /// there was progress.
    pub(crate) fn progress(&mut self) -> (io::Result<()>, Option<u64>) {
        let before = self.written();
        let result = self.flush();
        let position = self.written();
        let pending = self.is_pending();
        let reported = self.awaited && (position > before || !pending);
        if reported {
            self.awaited = pending;
        }
        (result, reported.then_some(position))
    }

    /// Writes `bytes` now, unless others wait before them. Returns how many the kernel took.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = &self.stream else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut done = 0;
        while self.queue.is_empty() && done < bytes.len() {
            match stream.send(&bytes[done..]) {
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.accepted += done as u64;
        Ok(done)
    }

    /// Appends bytes to the queue.
    pub(crate) fn push(&mut self, bytes: Bytes, guard: Option<CompletionGuard>) {
        self.accepted += bytes.len() as u64;
        self.queued += bytes.len();
        self.queue.push_back(Chunk {
            bytes,
            _guard: guard,
        });
    }

    /// Writes as much as the kernel takes, and FIN after the last byte if the program ended.
    fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        while let Some(front) = self.queue.front() {
            let result = if self.queue.len() == 1 {
                stream.send(&front.bytes)
            } else {
                let slices: Vec<_> = self
                    .queue
                    .iter()
                    .take(CHUNKS_PER_WRITE)
                    .map(|chunk| IoSlice::new(&chunk.bytes))
                    .collect();
                stream.send_vectored(&slices)
            };
            match result {
                Ok(count) => {
                    self.queued -= count;
                    advance(&mut self.queue, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let result = if self.end == End::Wanted {
            stream.shutdown_write()
        } else {
            stream.flush()
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            result => {
                if self.end == End::Wanted {
                    self.end = End::Done;
                }
                result
            }
        }
    }

    /// Discards the queue and releases the stream. Returns the stream, and whether all accepted
    /// bytes had been written.
    pub(crate) fn close(&mut self) -> Option<(Arc<S>, bool)> {
        let stream = self.stream.take()?;
        let complete = self.queue.is_empty();
        self.queue = VecDeque::new();
        self.queued = 0;
        Some((stream, complete))
    }
}

/// Drops `count` bytes from the front of the queue.
fn advance(queue: &mut VecDeque<Chunk>, mut count: usize) {
    while let Some(front) = queue.front_mut() {
        if count < front.bytes.len() {
            let _ = front.bytes.split_to(count);
            return;
        }
        count -= front.bytes.len();
        queue.pop_front();
    }
}
