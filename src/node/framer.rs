//! `Framer` and `MixedFramer`, for bytes that come from JavaScript: `ObjectBuffer`, and streams that
//! the program brings.

use super::options::terminator;
use super::strings;
use super::values::{array, size, uint32_array, value};
use crate::events::batch::FrameLength;
use crate::protocol::{self, Incoming};
use napi::Env;
use napi::bindgen_prelude::{Buffer, Result, Uint8Array, Unknown};
use napi_derive::napi;

/// Cuts chunks of bytes into the text of frames.
#[napi]
pub struct Framer {
    inner: protocol::Framer,
}

#[napi]
impl Framer {
    /// A framer for frames that end with `terminator` and are no longer than `max_message_size`
    /// bytes (`Infinity`: any length).
    #[napi(constructor, catch_unwind)]
    pub fn new(terminator_text: String, max_message_size: f64) -> Result<Self> {
        Ok(Self {
            inner: protocol::Framer::new(terminator(&terminator_text)?, size(max_message_size)),
        })
    }

    /// Takes a chunk; returns `[text, ends, fits]`: the frames that it completes as one string, the
    /// end of each in it, and whether all are within the limit. For a single frame within the limit
    /// it returns the text alone, because the arrays cost more than everything else.
    #[napi(
        catch_unwind,
        ts_return_type = "string | [string, Uint32Array, boolean]"
    )]
    pub fn push<'env>(&mut self, env: &'env Env, chunk: Uint8Array) -> Result<Unknown<'env>> {
        let mut bytes = Vec::new();
        let mut lengths = Vec::new();
        let fits = self
            .inner
            .push(&chunk, &mut |frame: protocol::Frame<'_>| {
                bytes.extend_from_slice(frame.as_bytes());
                lengths.push(FrameLength::new(frame.as_bytes().len(), false));
            })
            .is_ok();
        if fits && lengths.len() == 1 {
            let text = strings::utf8(env.raw(), &bytes)?;
            // SAFETY: the value is made in this environment and used in it.
            return Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), text) });
        }
        let mut ends = Vec::with_capacity(lengths.len());
        let text = strings::frames(env.raw(), &bytes, &lengths, &mut ends)?;
        let ends = uint32_array(env.raw(), &ends)?;
        let fits = value(env.raw(), fits)?;
        let values = array(env.raw(), &[text, ends, fits])?;
        // SAFETY: the value is made in this environment and used in it.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), values) })
    }

    /// The bytes of the incomplete frame.
    #[napi(catch_unwind)]
    pub fn pending(&self) -> Buffer {
        self.inner.pending().into()
    }

    /// Drops the incomplete frame.
    #[napi(catch_unwind)]
    pub fn clear(&mut self) {
        self.inner.clear();
    }
}

/// Cuts chunks of bytes into frames, some of which are binary.
#[napi]
pub struct MixedFramer {
    inner: protocol::MixedFramer,
}

#[napi]
impl MixedFramer {
    /// The arguments are those of `Framer`. Binary frames are accepted once they are announced.
    #[napi(constructor, catch_unwind)]
    pub fn new(terminator_text: String, max_message_size: f64) -> Result<Self> {
        let mut inner =
            protocol::MixedFramer::new(terminator(&terminator_text)?, size(max_message_size));
        inner.offer_binary();
        Ok(Self { inner })
    }

    /// Takes a chunk; returns `[frames, fits]`: the frames that it completes, a text as a string and
    /// a binary one with its header, and whether all are within the limit.
    #[napi(catch_unwind, ts_return_type = "[Array<string | Buffer>, boolean]")]
    pub fn push<'env>(&mut self, env: &'env Env, chunk: Uint8Array) -> Result<Unknown<'env>> {
        let mut frames = Vec::new();
        let fits = self
            .inner
            .push(&chunk, &mut |incoming| {
                frames.push(match incoming {
                    Incoming::Text(frame) => strings::utf8(env.raw(), frame.as_bytes()),
                    Incoming::Binary(frame) => value(env.raw(), Buffer::from(frame.into_vec())),
                    Incoming::Bytes(bytes) => value(env.raw(), Buffer::from(bytes)),
                });
            })
            .is_ok();
        let frames = frames.into_iter().collect::<Result<Vec<_>>>()?;
        let frames = array(env.raw(), &frames)?;
        let fits = value(env.raw(), fits)?;
        let values = array(env.raw(), &[frames, fits])?;
        // SAFETY: the value is made in this environment and used in it.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), values) })
    }
}
