//! The byte stream of one direction, cut into frames.

use std::fmt;
use std::mem;

use memchr::memchr_iter;

use super::terminator::Terminator;

/// From this size on, in bytes, a frame that was gathered over several chunks is given away
/// with its buffer; below it, it is lent and the buffer is used again.
const LARGE: usize = 64 * 1024;

/// One complete frame, without its terminator. May be empty, and need not be JSON.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Lent for the time of the call: a slice of the chunk or of the framer's buffer.
    Borrowed(&'a [u8]),
    /// Given away without a copy: a large frame that arrived in several chunks.
    /// The buffer may have spare capacity.
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

    /// The payload as a vector of its own; copies only what was lent.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Borrowed(bytes) => bytes.to_vec(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A peer sent, or is about to send, a frame beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of at least {seen} bytes exceeds the limit of {limit}")]
pub struct FrameTooLarge {
    /// The longest frame that would have been accepted, in bytes.
    pub limit: usize,
    /// How many bytes of the frame had arrived when it was refused. The whole frame is at
    /// least as long; how much of it is known depends on the chunks it came in.
    pub seen: usize,
}

/// Cuts a byte stream into frames at every [`Terminator`], from left to right.
///
/// The frames do not depend on how the stream is cut into chunks. The work is linear in the
/// stream: each byte is looked at once, and the last few of a chunk, fewer than the terminator
/// has, once more if they may begin a terminator that goes on in the next. The memory is that
/// of the unfinished frame, bounded by the limit; between frames it is none.
pub struct Framer {
    terminator: Terminator,
    max_frame: usize,
    /// What has arrived of the unfinished frame, possibly with the beginning of its terminator.
    /// Contains no whole terminator. Without heap memory whenever it is empty between pushes.
    pending: Vec<u8>,
    /// How many bytes at the end of `pending` may begin the terminator: the longest of its
    /// beginnings that `pending` ends with. The rest of `pending` is certainly payload.
    partial: usize,
    /// Set by the first frame beyond the limit, after which the stream has no known position.
    fault: Option<FrameTooLarge>,
    /// Bytes looked at, to prove the linearity.
    #[cfg(test)]
    scanned: usize,
}

impl Framer {
    /// A framer for a new stream, which accepts payloads of up to `max_frame` bytes.
    #[must_use]
    pub fn new(terminator: Terminator, max_frame: usize) -> Self {
        Self {
            terminator,
            max_frame,
            pending: Vec::new(),
            partial: 0,
            fault: None,
            #[cfg(test)]
            scanned: 0,
        }
    }

    /// Feeds a chunk and hands every frame that is now complete to `sink`, in order.
    ///
    /// # Errors
    ///
    /// [`FrameTooLarge`] as soon as it is certain that a frame exceeds the limit, even if its
    /// end is not in sight. The frames before it have been handed over, the stream cannot be
    /// followed any further, and every later push fails in the same way until
    /// [`clear`](Self::clear).
    pub fn push(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLarge> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let outcome = self.advance(chunk, sink);
        if let Err(fault) = outcome {
            self.clear();
            self.fault = Some(fault);
        }
        outcome
    }

    /// The bytes held of the unfinished frame, including what may be its terminator's beginning.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.pending.len()
    }

    /// What has arrived of the unfinished frame, including what may be its terminator's beginning.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Forgets the unfinished frame and any fault: what comes next begins a new stream.
    pub fn clear(&mut self) {
        self.pending = Vec::new();
        self.partial = 0;
        self.fault = None;
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
            // Between frames, perhaps for hours: an idle connection holds no memory.
            self.pending = Vec::new();
            return Ok(());
        }
        self.partial = self.partial_at_end(rest);
        self.keep(rest)
    }

    /// The index in `chunk` behind the terminator of the pending frame, if that is complete.
    /// Otherwise all of `chunk` belongs to the frame, and `partial` is already that of its end.
    fn find_end_of_pending(&mut self, chunk: &[u8]) -> Option<usize> {
        let width = self.terminator.width();
        // Follow what may be a terminator byte by byte, until it is one or cannot be.
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

        // No terminator begins before here: the rest of the chunk is searched on its own.
        let rest = &chunk[read..];
        let found = self.terminator.find(rest);
        self.looked_at(found.map_or(rest.len(), |at| at + width));
        if found.is_none() {
            self.partial = self.partial_at_end(rest);
        }
        found.map(|at| read + at + width)
    }

    /// Hands over the pending frame, whose terminator ends at `end` in `chunk`.
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
            // The terminator began before the chunk, so its beginning is pending.
            None => self.pending.truncate(length),
        }

        // Taken out while the sink runs, so that a sink that panics leaves a sound framer.
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

    /// Hands over the frames that lie in `chunk` from `start` on. Returns where they end.
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

    /// The longest beginning of the terminator that `bytes`, which contains none, ends with.
    fn partial_at_end(&mut self, bytes: &[u8]) -> usize {
        let tail = bytes.len().min(self.terminator.width() - 1);
        self.looked_at(tail);
        bytes[bytes.len() - tail..]
            .iter()
            .fold(0, |partial, &byte| self.terminator.step(partial, byte))
    }

    /// Keeps `rest` for the next push; `partial` is already that of its end.
    fn keep(&mut self, rest: &[u8]) -> Result<(), FrameTooLarge> {
        // If the next bytes complete the terminator, the frame is shorter by its beginning.
        self.check(self.pending.len() + rest.len() - self.partial)?;
        self.append(rest);
        Ok(())
    }

    /// Appends to the pending frame. Grows by doubling, but not past what the limit allows.
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
            return Err(FrameTooLarge {
                limit: self.max_frame,
                seen,
            });
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
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
