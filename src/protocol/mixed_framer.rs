//! Cuts a stream in which binary frames may occur among text frames.

use super::framer::{Frame, FrameTooLarge, Framer, LARGE};
use super::terminator::Terminator;
use std::mem;

/// The first byte of a binary frame. No text in UTF-8 contains it.
const MARK: u8 = 0xff;

/// The text frame after which the sender may send binary frames. It is not JSON.
pub const SWITCH: &[u8] = b"\t\t\t\t\t\t\t\t";

/// The text frame after which the sender sends no binary frames any more, and maybe no frames at
/// all.
pub(super) const FAREWELL: &[u8] = b"\t  \t\t \t\t";

/// The first bytes of a binary frame:
///
/// ```text
/// 0     0xff
/// 1     kind
/// 2..6  length of the text in bytes, little-endian
/// 6..10 length of the data
/// ```
///
/// The text, in UTF-8, and the data follow. There is no terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryHeader {
    /// The kind of the frame. The framer passes on any.
    pub kind: u8,
    /// The length of the text in bytes.
    pub text: u32,
    /// The length of the data in bytes.
    pub data: u32,
}

impl BinaryHeader {
    /// The number of bytes.
    pub const LENGTH: usize = 10;

    /// Reads the header at the beginning of `bytes`, if it is complete.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<{ Self::LENGTH }>()?;
        let [_, kind, t0, t1, t2, t3, d0, d1, d2, d3] = *header;
        Some(Self {
            kind,
            text: u32::from_le_bytes([t0, t1, t2, t3]),
            data: u32::from_le_bytes([d0, d1, d2, d3]),
        })
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [t0, t1, t2, t3] = self.text.to_le_bytes();
        let [d0, d1, d2, d3] = self.data.to_le_bytes();
        [MARK, self.kind, t0, t1, t2, t3, d0, d1, d2, d3]
    }

    /// The length of text and data.
    fn payload(self) -> usize {
        // On 32-bit systems the sum saturates, and is above any limit.
        (self.text as usize).saturating_add(self.data as usize)
    }
}

/// A frame of either kind.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A text frame, without its terminator.
    Text(Frame<'a>),
    /// A binary frame, with its header.
    Binary(Frame<'a>),
    /// Bytes of another protocol.
    Bytes(&'a [u8]),
}

/// The kinds of frames that a stream may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Text frames.
    Text,
    /// Text frames, until the peer sends [`SWITCH`].
    Offered,
    /// Text frames and binary frames.
    Mixed,
    /// Bytes of another protocol.
    Bytes,
}

/// Like [`Framer`], for a peer that may send binary frames once they are
/// [offered](Self::offer_binary) to it.
#[derive(Debug)]
pub struct MixedFramer {
    text: Framer,
    mode: Mode,
    /// The received part of an unfinished binary frame. Only in [`Mode::Mixed`], and only while no
    /// text frame is unfinished.
    binary: Vec<u8>,
    /// Whether bytes follow [`FAREWELL`], and no text frames.
    expects_bytes: bool,
}

impl MixedFramer {
    /// A framer for a new stream, which accepts payloads of up to `max_frame` bytes.
    #[must_use]
    pub fn new(terminator: Terminator, max_frame: usize) -> Self {
        Self {
            text: Framer::new(terminator, max_frame),
            mode: Mode::Text,
            binary: Vec::new(),
            expects_bytes: false,
        }
    }

    /// Accepts binary frames from now on, once the peer has announced them by [`SWITCH`].
    pub fn offer_binary(&mut self) {
        if self.mode == Mode::Text {
            self.mode = Mode::Offered;
        }
    }

    /// Passes on the bytes that follow [`FAREWELL`] as they are. Returns those that have arrived,
    /// if that was received already.
    pub fn expect_bytes(&mut self) -> Vec<u8> {
        self.expects_bytes = true;
        if self.mode != Mode::Text {
            return Vec::new();
        }
        self.mode = Mode::Bytes;
        let pending = self.text.pending().to_vec();
        self.text.clear();
        pending
    }

    /// Takes a chunk and passes every frame that is complete now to `sink`, in order.
    ///
    /// # Errors
    ///
    /// Like [`Framer::push`].
    pub fn push(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), FrameTooLarge> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let is_text = match self.mode {
                Mode::Text => true,
                Mode::Offered => !self.expects_bytes && !self.may_switch(rest),
                Mode::Mixed => false,
                Mode::Bytes => {
                    sink(Incoming::Bytes(rest));
                    return Ok(());
                }
            };
            if is_text {
                return self
                    .text
                    .push(rest, &mut |frame| sink(Incoming::Text(frame)));
            }
            let used = if self.is_at_binary(rest[0]) {
                self.push_binary(rest, sink)?
            } else {
                self.push_text(rest, sink)?
            };
            rest = &rest[used..];
        }
        Ok(())
    }

    /// The number of received bytes of an unfinished frame.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.text.buffered() + self.binary.len()
    }

    /// The received part of an unfinished text frame.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.text.pending()
    }

    /// Forgets the unfinished frame and any error: the next chunk begins a new stream.
    pub fn clear(&mut self) {
        self.text.clear();
        self.binary = Vec::new();
    }

    /// Whether `chunk` may contain [`SWITCH`] or [`FAREWELL`]. JSON of a peer that does not know
    /// them has no tab.
    fn may_switch(&self, chunk: &[u8]) -> bool {
        self.text.pending().first() == Some(&SWITCH[0])
            || memchr::memchr(SWITCH[0], chunk).is_some()
    }

    /// Whether a binary frame is unfinished, or begins with the byte `next`.
    fn is_at_binary(&self, next: u8) -> bool {
        self.mode == Mode::Mixed
            && (!self.binary.is_empty() || (next == MARK && self.text.buffered() == 0))
    }

    fn push_text(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, FrameTooLarge> {
        let mut next = self.mode;
        let expects_bytes = self.expects_bytes;
        let used = self.text.push_one(bytes, &mut |frame| {
            match frame.as_bytes() {
                SWITCH => {
                    next = Mode::Mixed;
                    return;
                }
                FAREWELL if expects_bytes => next = Mode::Bytes,
                FAREWELL => next = Mode::Text,
                // FAREWELL follows bytes that its sender had begun to send before.
                other if expects_bytes && other.ends_with(FAREWELL) => {
                    next = Mode::Bytes;
                    sink(Incoming::Bytes(&other[..other.len() - FAREWELL.len()]));
                    return;
                }
                _ => {}
            }
            sink(Incoming::Text(frame));
        })?;
        self.mode = next;
        Ok(used)
    }

    fn push_binary(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, FrameTooLarge> {
        if self.binary.is_empty()
            && let Some(header) = BinaryHeader::read(bytes)
        {
            let length = self.length_of(header)?;
            if let Some(frame) = bytes.get(..length) {
                sink(Incoming::Binary(Frame::Borrowed(frame)));
                return Ok(length);
            }
        }
        let mut used = 0;
        if self.binary.len() < BinaryHeader::LENGTH {
            used = bytes.len().min(BinaryHeader::LENGTH - self.binary.len());
            self.binary.extend_from_slice(&bytes[..used]);
        }
        let Some(header) = BinaryHeader::read(&self.binary) else {
            return Ok(used);
        };
        let length = self.length_of(header)?;
        let more = (length - self.binary.len()).min(bytes.len() - used);
        self.append(&bytes[used..used + more], length);
        if self.binary.len() == length {
            let frame = mem::take(&mut self.binary);
            sink(Incoming::Binary(if length >= LARGE {
                Frame::Owned(frame)
            } else {
                Frame::Borrowed(&frame)
            }));
        }
        Ok(used + more)
    }

    /// The length of a whole frame. The limit is for its text and data.
    fn length_of(&mut self, header: BinaryHeader) -> Result<usize, FrameTooLarge> {
        let payload = header.payload();
        if payload > self.text.max_frame() {
            self.binary = Vec::new();
            return Err(self.text.refuse(payload));
        }
        Ok(BinaryHeader::LENGTH + payload)
    }

    /// Appends to the unfinished frame. The buffer grows to at most twice the bytes that have
    /// arrived, and never beyond the frame. So the memory depends on the bytes that have arrived,
    /// not on the length that the peer has announced.
    fn append(&mut self, bytes: &[u8], length: usize) {
        let needed = self.binary.len() + bytes.len();
        let capacity = self.binary.capacity();
        if needed > capacity {
            let target = needed.saturating_mul(2).min(length);
            self.binary.reserve_exact(target - self.binary.len());
        }
        self.binary.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
