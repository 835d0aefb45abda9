//! Bytes on their way out of one connection, in order, and who waits for them.

use super::stream::Stream;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Chunks handed to the kernel in one call.
const CHUNKS_PER_WRITE: usize = 64;

/// Something that happens when the last reference to it is gone: a broadcast holds one in every
/// outbox, and is done when all were written or given up.
pub(super) type Token = Arc<dyn Send + Sync>;

struct Chunk {
    bytes: Bytes,
    _token: Option<Token>,
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
pub(super) struct Outbox {
    /// `None` once the connection is closed or broken.
    stream: Option<Arc<Stream>>,
    queue: VecDeque<Chunk>,
    /// Bytes in `queue`.
    queued: usize,
    /// Bytes accepted since the connection began.
    accepted: u64,
    end: End,
    /// JavaScript waits for a position: progress must be told.
    pub(super) awaited: bool,
}

impl Outbox {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self {
            stream: Some(stream),
            queue: VecDeque::new(),
            queued: 0,
            accepted: 0,
            end: End::Open,
            awaited: false,
        }
    }

    /// Whether bytes are still taken.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some() && self.end == End::Open
    }

    /// Whether the program ended its direction.
    pub(super) fn has_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Whether something, bytes or FIN, waits for the kernel.
    pub(super) fn is_pending(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            !self.queue.is_empty() || self.end == End::Wanted || !stream.is_flushed()
        })
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Bytes that the kernel has, counted from the beginning.
    pub(super) fn written(&self) -> u64 {
        let held = self.stream.as_ref().map_or(0, |stream| stream.held());
        self.accepted - self.queued as u64 - held as u64
    }

    /// Writes `bytes` now if nothing is before them; answers how many of them the kernel took.
    /// The rest is the caller's to [`push`](Self::push).
    pub(super) fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
    pub(super) fn push(&mut self, bytes: Bytes, token: Option<Token>) {
        self.accepted += bytes.len() as u64;
        self.queued += bytes.len();
        self.queue.push_back(Chunk {
            bytes,
            _token: token,
        });
    }

    /// Writes what the kernel takes, and FIN behind the last byte if the program ended.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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

    /// Takes no more bytes; FIN follows what is queued at the next [`flush`](Self::flush).
    pub(super) fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
    }

    /// Gives up what is queued and lets go of the stream. Answers the stream, and whether all
    /// that was accepted had been written.
    pub(super) fn close(&mut self) -> Option<(Arc<Stream>, bool)> {
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
