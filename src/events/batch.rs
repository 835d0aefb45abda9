//! A batch of events, the unit that crosses the border to JavaScript.

use super::event::{Event, queued_cost};
use std::sync::Arc;

/// A batch takes no further frames once its text has this many bytes. With one more frame, which is
/// smaller than [`LARGE_FRAME`](super::event::LARGE_FRAME), it stays below 128 KiB. From that size
/// on V8 gives a string pages of its own, which cost several times as much as the text.
pub(crate) const MAX_BATCH_BYTES: usize = 48 * 1024;
/// The largest number of frames in a batch.
pub const MAX_BATCH_FRAMES: usize = 4096;
/// The largest number of events in a batch.
pub const MAX_BATCH_EVENTS: usize = 1024;
/// The longest turn, in units of [`Event::turn_cost`]: about as much as a full batch.
pub(crate) const MAX_TURN: usize = 64 * 1024;

/// The length of a frame in bytes, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLength(u32);

impl FrameLength {
    const BINARY: u32 = 1 << 31;

    /// The length of a text frame, or of a binary frame with its header.
    #[must_use]
    pub fn new(bytes: usize, is_binary: bool) -> Self {
        // No longer frame could become a string.
        #[allow(clippy::cast_possible_truncation)]
        let bytes = bytes.min(Self::BINARY as usize - 1) as u32;
        Self(if is_binary {
            bytes | Self::BINARY
        } else {
            bytes
        })
    }

    /// The number of bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        (self.0 & !Self::BINARY) as usize
    }

    /// Whether the frame is binary.
    #[must_use]
    pub fn is_binary(self) -> bool {
        self.0 & Self::BINARY != 0
    }
}

/// Events in order, and the text of their frames. `C` is the connection type.
#[derive(Debug)]
pub struct EventBatch<C> {
    /// All small frames, concatenated: the text of text frames, and whole binary frames.
    pub text: Vec<u8>,
    /// The length of each of these frames.
    pub lengths: Vec<FrameLength>,
    /// Whether one of them may be binary.
    pub has_binary: bool,
    /// The events, in order.
    pub events: Vec<Event<C>>,
    /// The cost of delivering the batch, in units of [`Event::turn_cost`].
    cost: usize,
}

impl<C> Default for EventBatch<C> {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            lengths: Vec::new(),
            has_binary: false,
            events: Vec::new(),
            cost: 0,
        }
    }
}

impl<C> EventBatch<C> {
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= MAX_BATCH_BYTES
            || self.lengths.len() >= MAX_BATCH_FRAMES
            || self.events.len() >= MAX_BATCH_EVENTS
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lengths.clear();
        self.has_binary = false;
        self.events.clear();
        self.cost = 0;
    }

    pub(crate) fn push(&mut self, event: Event<C>) {
        self.cost += event.turn_cost();
        self.events.push(event);
    }

    /// Appends frames of one connection, whose text is concatenated.
    pub(crate) fn push_frames(&mut self, source: &Arc<C>, text: &[u8], lengths: &[FrameLength]) {
        let added_cost = text.len() + lengths.len() * queued_cost(0);
        self.text.extend_from_slice(text);
        self.lengths.extend_from_slice(lengths);
        self.has_binary |= lengths.iter().any(|length| length.is_binary());
        self.cost += added_cost;
        // At most MAX_BATCH_FRAMES, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        let added_count = lengths.len() as u32;
        match self.events.last_mut() {
            Some(Event::Frames {
                connection,
                count,
                queued_cost,
            }) if Arc::ptr_eq(connection, source) => {
                *count += added_count;
                *queued_cost += added_cost;
            }
            _ => self.events.push(Event::Frames {
                connection: Arc::clone(source),
                count: added_count,
                queued_cost: added_cost,
            }),
        }
    }

    pub(crate) fn has_room_for(&self, part: &Self) -> bool {
        self.text.len() + part.text.len() <= MAX_BATCH_BYTES
            && self.cost + part.cost <= MAX_TURN
            && self.lengths.len() + part.lengths.len() <= MAX_BATCH_FRAMES
            && self.events.len() + part.events.len() <= MAX_BATCH_EVENTS
    }

    /// Appends `part`, for which there is room. Also makes room for the parts that follow.
    pub(crate) fn append(&mut self, part: &mut Self) {
        if self.text.capacity() - self.text.len() < part.text.len() {
            self.text.reserve_exact(MAX_BATCH_BYTES - self.text.len());
        }
        self.text.append(&mut part.text);
        self.lengths.append(&mut part.lengths);
        self.has_binary |= part.has_binary;
        self.events.append(&mut part.events);
        self.cost += std::mem::take(&mut part.cost);
    }

    /// How many of the frames with these lengths, at least one, fit into this batch and into
    /// `room`; and their bytes.
    pub(crate) fn fitting(&self, lengths: &[FrameLength], room: usize) -> (usize, usize) {
        let max_count = MAX_BATCH_FRAMES - self.lengths.len().min(MAX_BATCH_FRAMES);
        let max_bytes = MAX_BATCH_BYTES.saturating_sub(self.text.len());
        let mut bytes = 0;
        for (index, length) in lengths.iter().enumerate() {
            bytes += length.bytes();
            let count = index + 1;
            if count >= max_count || bytes >= max_bytes || bytes + count * queued_cost(0) >= room {
                return (count, bytes);
            }
        }
        (lengths.len(), bytes)
    }

    /// Moves the first events to `part`, which is empty, until they cost as much as `turn`. The
    /// last of them may get only some of its frames.
    pub(crate) fn split_off_turn(&mut self, turn: usize, mut part: Self) -> Self {
        let mut taken = 0;
        let mut text = 0;
        let mut frames = 0;
        let mut divided = None;
        for event in &self.events {
            if part.cost >= turn {
                break;
            }
            let Event::Frames {
                connection, count, ..
            } = event
            else {
                taken += 1;
                part.cost += event.turn_cost();
                continue;
            };
            let lengths = &self.lengths[frames..frames + *count as usize];
            let (fit, bytes) = part.fitting(lengths, turn - part.cost);
            part.cost += bytes + fit * queued_cost(0);
            text += bytes;
            frames += fit;
            if fit < lengths.len() {
                divided = Some((Arc::clone(connection), fit, bytes));
                break;
            }
            taken += 1;
        }
        part.text.extend(self.text.drain(..text));
        part.lengths.extend(self.lengths.drain(..frames));
        part.has_binary = self.has_binary;
        part.events.extend(self.events.drain(..taken));
        if let (
            Some((connection, fit, bytes)),
            Some(Event::Frames {
                count,
                queued_cost: remaining_cost,
                ..
            }),
        ) = (divided, self.events.first_mut())
        {
            let moved_cost = bytes + fit * queued_cost(0);
            // At most MAX_BATCH_FRAMES, so it fits.
            #[allow(clippy::cast_possible_truncation)]
            let fit = fit as u32;
            *count -= fit;
            *remaining_cost -= moved_cost;
            part.events.push(Event::Frames {
                connection,
                count: fit,
                queued_cost: moved_cost,
            });
        }
        self.cost -= part.cost;
        part
    }
}
