//! Cuts the byte stream of one direction into frames.

use std::fmt;
use std::mem;
use std::num::NonZeroUsize;

use memchr::memchr_iter;

use super::terminator::Terminator;

/// A frame of at least this many bytes that arrived in several chunks is passed on with its buffer.
/// The buffer of a smaller frame is reused.
pub(super) const LARGE: usize = 64 * 1024;

/// One complete frame, without its terminator. It may be empty, and need not be JSON.
#[derive(Debug)]
pub enum Frame<'a> {
    /// A slice of the chunk or of the framer's buffer, valid during the call.
    Borrowed(&'a [u8]),
    /// A large frame that arrived in several chunks, passed on without a copy. The buffer may have
    /// spare capacity.
    Owned(Vec<u8>),
}

impl Frame<'_> {
    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// The payload as a vector. Copies a borrowed frame only.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Borrowed(bytes) => bytes.to_vec(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A frame exceeds the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of at least {seen} bytes exceeds the limit of {limit}")]
pub struct FrameTooLarge {
    /// The longest frame that is accepted, in bytes.
    pub limit: usize,
    /// How many bytes of the frame had arrived when it was refused. The whole frame is at least as
    /// long. The number depends on the chunks.
    pub seen: usize,
}

/// Cuts a byte stream into frames at every [`Terminator`], from left to right.
///
/// The frames do not depend on the chunks of the stream. The work is linear in the length of the
/// stream. Each byte is examined once. The last bytes of a chunk, fewer than the terminator has,
/// are examined twice if they may begin a terminator. The memory is that of the unfinished frame,
/// bounded by the limit; there is none between frames.
pub struct Framer {
    terminator: Terminator,
    max_frame: usize,
    /// The received part of the unfinished frame, possibly with the beginning of its terminator. It
    /// contains no whole terminator. It owns no heap memory while it is empty between pushes.
    pending: Vec<u8>,
    /// How many bytes at the end of `pending` may begin the terminator: the longest beginning of
    /// the terminator that `pending` ends with. The bytes before them are payload.
    partial: usize,
    /// Set by the first frame beyond the limit, after which the position in the stream is unknown:
    /// how many bytes of it had arrived.
    refused: Option<NonZeroUsize>,
    /// The number of examined bytes, by which tests prove that the work is linear.
    #[cfg(test)]
    scanned: usize,
}

impl Framer {
    /// A framer for a new stream. It accepts payloads of up to `max_frame` bytes.
    #[must_use]
    pub fn new(terminator: Terminator, max_frame: usize) -> Self {
        Self {
            terminator,
            max_frame,
            pending: Vec::new(),
            partial: 0,
            refused: None,
            #[cfg(test)]
            scanned: 0,
        }
    }

    /// Takes a chunk and passes every frame that is complete now to `sink`, in order.
    ///
    /// # Errors
    ///
    /// [`FrameTooLarge`] as soon as it is certain that a frame exceeds the limit, even if its end
    /// has not arrived. The frames before it have been passed on. The position in the stream is
    /// lost, so every later push fails in the same way until [`clear`](Self::clear).
    pub fn push(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLarge> {
        if let Some(seen) = self.refused {
            return Err(self.too_large(seen.get()));
        }
        let outcome = self.advance(chunk, sink);
        if let Err(fault) = outcome {
            self.refuse(fault.seen);
        }
        outcome
    }

    /// Like [`push`](Self::push), but takes no bytes after the first frame. Returns how many it
    /// took.
    pub(super) fn push_one(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, FrameTooLarge> {
        if let Some(seen) = self.refused {
            return Err(self.too_large(seen.get()));
        }
        let outcome = self.advance_one(chunk, sink);
        if let Err(fault) = outcome {
            self.refuse(fault.seen);
        }
        outcome
    }

    /// Fails from now on, because a frame of `seen` bytes exceeds the limit.
    pub(super) fn refuse(&mut self, seen: usize) -> FrameTooLarge {
        self.clear();
        self.refused = NonZeroUsize::new(seen);
        self.too_large(seen)
    }

    fn too_large(&self, seen: usize) -> FrameTooLarge {
        FrameTooLarge {
            limit: self.max_frame,
            seen,
        }
    }

    /// The longest frame that is accepted, in bytes.
    pub(super) fn max_frame(&self) -> usize {
        self.max_frame
    }

    /// The number of bytes in [`pending`](Self::pending).
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.pending.len()
    }

    /// The received part of the unfinished frame, including a possible beginning of its terminator.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Forgets the unfinished frame and any error: the next chunk begins a new stream.
    pub fn clear(&mut self) {
        self.pending = Vec::new();
        self.partial = 0;
        self.refused = None;
    }

    fn advance(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLarge> {
        let mut start = 0;
        if !self.pending.is_empty() {
            let Some(end) = self.find_end_of_pending(chunk) else {
                return self.keep(chunk);
            };
            self.complete_pending(chunk, end, sink)?;
            start = end;
        }

        start = self.hand_over(chunk, start, sink)?;
        let rest = &chunk[start..];
        if rest.is_empty() {
            // Releases the memory: the connection may be idle for hours.
            self.pending = Vec::new();
            return Ok(());
        }
        self.partial = self.partial_at_end(rest);
        self.keep(rest)
    }

    fn advance_one(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, FrameTooLarge> {
        if !self.pending.is_empty() {
            let Some(end) = self.find_end_of_pending(chunk) else {
                self.keep(chunk)?;
                return Ok(chunk.len());
            };
            self.complete_pending(chunk, end, sink)?;
            // Releases the memory: no frame is unfinished.
            self.pending = Vec::new();
            return Ok(end);
        }
        let found = self.terminator.find(chunk);
        let width = self.terminator.width();
        self.looked_at(found.map_or(chunk.len(), |at| at + width));
        let Some(end) = found else {
            self.partial = self.partial_at_end(chunk);
            self.keep(chunk)?;
            return Ok(chunk.len());
        };
        self.check(end)?;
        sink(Frame::Borrowed(&chunk[..end]));
        Ok(end + width)
    }

    /// The index in `chunk` after the terminator of the pending frame, if that is complete.
    /// Otherwise all of `chunk` belongs to the frame, and `partial` is updated for its end.
    fn find_end_of_pending(&mut self, chunk: &[u8]) -> Option<usize> {
        let width = self.terminator.width();
        // Compare byte by byte while these may be a terminator.
        let mut partial = self.partial;
        let mut read = 0;
        while partial > 0 && read < chunk.len() {
            partial = self.terminator.step(partial, chunk[read]);
            read += 1;
            if partial == width {
                self.looked_at(read);
                return Some(read);
            }
        }
        self.looked_at(read);
        if read == chunk.len() {
            self.partial = partial;
            return None;
        }

        // No terminator begins before here, so the rest of the chunk is searched on its own.
        let rest = &chunk[read..];
        let found = self.terminator.find(rest);
        self.looked_at(found.map_or(rest.len(), |at| at + width));
        if found.is_none() {
            self.partial = self.partial_at_end(rest);
        }
        found.map(|at| read + at + width)
    }

    /// Passes on the pending frame, whose terminator ends at `end` in `chunk`.
    fn complete_pending(
        &mut self,
        chunk: &[u8],
        end: usize,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLarge> {
        let width = self.terminator.width();
        let length = self.pending.len() + end - width;
        self.check(length)?;
        match end.checked_sub(width) {
            Some(payload) => self.append(&chunk[..payload]),
            // The beginning of the terminator is pending.
            None => self.pending.truncate(length),
        }

        // The buffer is taken out while the sink runs, so that the framer stays valid if the sink
        // panics.
        self.partial = 0;
        let mut frame = mem::take(&mut self.pending);
        if length >= LARGE {
            sink(Frame::Owned(frame));
        } else {
            sink(Frame::Borrowed(&frame));
            if frame.capacity() <= LARGE {
                frame.clear();
                self.pending = frame;
            }
        }
        Ok(())
    }

    /// Passes on the frames in `chunk` from `start` on. Returns the end of the last one.
    fn hand_over(
        &mut self,
        chunk: &[u8],
        start: usize,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, FrameTooLarge> {
        self.looked_at(chunk.len() - start);
        let rest = &chunk[start..];
        let consumed = match self.terminator.single() {
            Some(byte) => self.split(rest, memchr_iter(byte, rest), sink),
            None => self.split(rest, self.terminator.finder().find_iter(rest), sink),
        }?;
        Ok(start + consumed)
    }

    /// Cuts `bytes` at the terminators that begin at `ends`, which do not overlap.
    fn split(
        &self,
        bytes: &[u8],
        ends: impl Iterator<Item = usize>,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, FrameTooLarge> {
        let width = self.terminator.width();
        let mut start = 0;
        for end in ends {
            self.check(end - start)?;
            sink(Frame::Borrowed(&bytes[start..end]));
            start = end + width;
        }
        Ok(start)
    }

    /// The length of the longest beginning of the terminator that `bytes` ends with. `bytes`
    /// contains no whole terminator.
    fn partial_at_end(&mut self, bytes: &[u8]) -> usize {
        let tail = bytes.len().min(self.terminator.width() - 1);
        self.looked_at(tail);
        bytes[bytes.len() - tail..]
            .iter()
            .fold(0, |partial, &byte| self.terminator.step(partial, byte))
    }

    /// Keeps `rest` for the next push; `partial` is already that of its end.
    fn keep(&mut self, rest: &[u8]) -> Result<(), FrameTooLarge> {
        // If the next bytes complete the terminator, its beginning is not part of the frame.
        self.check(self.pending.len() + rest.len() - self.partial)?;
        self.append(rest);
        Ok(())
    }

    /// Appends to the pending frame. The buffer doubles, but does not grow beyond the limit.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.pending.len() + bytes.len();
        let capacity = self.pending.capacity();
        if needed > capacity {
            let ceiling = self.max_frame.saturating_add(self.terminator.width() - 1);
            let target = needed.max(capacity.saturating_mul(2).min(ceiling));
            self.pending.reserve_exact(target - self.pending.len());
        }
        self.pending.extend_from_slice(bytes);
    }

    fn check(&self, seen: usize) -> Result<(), FrameTooLarge> {
        if seen > self.max_frame {
            return Err(self.too_large(seen));
        }
        Ok(())
    }

    #[cfg(test)]
    fn looked_at(&mut self, bytes: usize) {
        self.scanned += bytes;
    }

    #[cfg(not(test))]
    #[inline]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut)]
    fn looked_at(&mut self, _bytes: usize) {}
}

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer")
            .field("terminator", &self.terminator)
            .field("max_frame", &self.max_frame)
            .field("buffered", &self.buffered())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
