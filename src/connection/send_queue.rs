//! Bytes on their way out of one connection, in order, and who waits for them.
//!
//! What must hold, and `npm run model` checks on this very code, with the switch behind it: all that is accepted
//! reaches the stream, once and in order, FIN behind it; and whoever waits for a position is reported of it.

use crate::transport::{Outgoing, Stream};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Chunks handed to the kernel in one call.
const CHUNKS_PER_WRITE: usize = 64;

/// Something that happens when the last reference to it is gone: a broadcast holds one in every
/// send queue, and is done when all were written or given up.
pub(crate) type CompletionGuard = Arc<dyn Send + Sync>;

struct Chunk {
    bytes: Bytes,
    _token: Option<CompletionGuard>,
}

/// How far the program went in ending its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It may still send.
    Open,
    /// It ended; FIN goes out behind what is queued.
    Wanted,
    /// FIN is out.
    Done,
}

/// The outgoing direction of a connection.
pub(crate) struct SendQueue<S = Stream> {
    /// `None` once the connection is closed or broken.
    stream: Option<Arc<S>>,
    queue: VecDeque<Chunk>,
    /// Bytes in `queue`.
    queued: usize,
    /// Bytes accepted since the connection began.
    accepted: u64,
    end: End,
    /// JavaScript waits for a position: progress must be reported.
    awaited: bool,
    /// Pings and pongs that wait while the program is in the midst of writing bytes of its own.
    held: Option<Vec<u8>>,
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
        }
    }

    /// From now on the program is in the midst of writing bytes of its own.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// It no longer is. Answers what waited for that.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        self.held.take().unwrap_or_default()
    }

    /// Whether the program is in the midst of writing bytes of its own.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Keeps a ping or pong back if it must wait, or gives it up if `limit` bytes do. Answers whether it did either.
    pub(crate) fn keep(&mut self, frame: &[u8], limit: usize) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        if held.len() + frame.len() <= limit {
            held.extend_from_slice(frame);
        }
        true
    }

    /// Whether bytes are still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some() && self.end == End::Open
    }

    /// Whether the program ended its direction.
    pub(crate) fn has_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Whether something, bytes or FIN, waits for the kernel.
    pub(crate) fn is_pending(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            !self.queue.is_empty() || self.end == End::Wanted || !stream.is_flushed()
        })
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes that the kernel has, counted from the beginning.
    pub(crate) fn written(&self) -> u64 {
        let held = self.stream.as_ref().map_or(0, |stream| stream.held());
        self.accepted - self.queued as u64 - held as u64
    }

    /// Writes `bytes`, or keeps what the kernel does not take. Answers the position to wait for, if there is one: then
    /// somebody must [`progress`](Self::progress).
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

    /// Takes no more bytes, and writes FIN behind what is queued. Answers as [`write`](Self::write) does.
    pub(crate) fn end(&mut self) -> io::Result<Option<u64>> {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
        self.flush()?;
        Ok(self.wait())
    }

    /// The position to wait for, if something waits: then somebody must [`progress`](Self::progress).
    pub(crate) fn wait(&mut self) -> Option<u64> {
        let pending = self.is_pending();
        self.awaited |= pending;
        pending.then_some(self.accepted)
    }

    /// Goes on with what waits. Answers the position to tell JavaScript of, if it waits and there is news.
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

    /// Writes `bytes` now if nothing is before them; answers how many of them the kernel took.
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

    /// Appends bytes behind everything else.
    pub(crate) fn push(&mut self, bytes: Bytes, guard: Option<CompletionGuard>) {
        self.accepted += bytes.len() as u64;
        self.queued += bytes.len();
        self.queue.push_back(Chunk {
            bytes,
            _token: guard,
        });
    }

    /// Writes what the kernel takes, and FIN behind the last byte if the program ended.
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

    /// Gives up what is queued and lets go of the stream. Answers the stream, and whether all
    /// that was accepted had been written.
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
