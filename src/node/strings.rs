//! Strings, in both directions.
//!
//! V8 stores a string in one byte a character where it can, and N-API makes such a string from
//! Latin-1 by copying. ASCII is Latin-1, and JSON is mostly ASCII.

use crate::events::batch::FrameLength;
use crate::protocol::BinaryHeader;
use napi::bindgen_prelude::{Error, Result, Status, Unknown};
use napi::{JsValue, check_status, sys};
use napi_derive::napi;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ptr;

/// From this length on, the UTF-8 length of a string is computed before the copy, instead of
/// reserving three bytes a character.
const MEASURE_FROM: usize = 256 * 1024;
/// A larger buffer for outgoing text is freed after its use.
const KEEP_CAPACITY: usize = 1024 * 1024;

/// The number of bytes that are searched for characters that JSON escapes, before the search may
/// stop.
const PLAIN_LOOK: usize = 1024;

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on the UTF-8 of a JavaScript string of `length` UTF-16 units. `f` may take the buffer.
pub(super) fn with_utf8<R>(
    value: &Unknown<'_>,
    length: u32,
    f: impl FnOnce(&mut Vec<u8>) -> R,
) -> Result<R> {
    OUT.with(|out| {
        let mut out = out.borrow_mut();
        out.clear();
        append_utf8(value, length as usize, &mut out, 0)?;
        let result = f(&mut out);
        if out.capacity() > KEEP_CAPACITY {
            *out = Vec::new();
        }
        Ok(result)
    })
}

/// Whether the buffer of [`with_utf8`] may be kept while a slow peer reads, because it has little
/// unused capacity.
pub(super) fn is_filled(bytes: &Vec<u8>) -> bool {
    bytes.capacity() - bytes.len() <= bytes.len() / 8
}

/// Appends the UTF-8 of a JavaScript string of `length` UTF-16 units. If the string is long, `out`
/// gets room for exactly `more` further bytes, so that [`is_filled`] is true then.
fn append_utf8(value: &Unknown<'_>, length: usize, out: &mut Vec<u8>, more: usize) -> Result<()> {
    let raw = value.value();
    let mut capacity = length * 3;
    if length >= MEASURE_FROM {
        // SAFETY: a null buffer asks for the length alone, which goes to `capacity`.
        check_status!(
            unsafe {
                sys::napi_get_value_string_utf8(
                    raw.env,
                    raw.value,
                    ptr::null_mut(),
                    0,
                    &raw mut capacity,
                )
            },
            "Expected a string"
        )?;
        out.reserve_exact(capacity + 1 + more);
    } else {
        out.reserve(capacity + 1);
    }
    let before = out.len();
    let mut written = 0;
    // SAFETY: `spare` has room for `capacity` bytes and the NUL that N-API adds; N-API writes no
    // more than the size it is given.
    let spare = out.spare_capacity_mut();
    check_status!(
        unsafe {
            sys::napi_get_value_string_utf8(
                raw.env,
                raw.value,
                spare.as_mut_ptr().cast(),
                capacity + 1,
                &raw mut written,
            )
        },
        "Expected a string"
    )?;
    // SAFETY: N-API has just initialised `written` bytes, which is at most `capacity`.
    unsafe { out.set_len(before + written) };
    Ok(())
}

/// Whether JSON contains a string of `length` UTF-16 units unchanged between its quotes. With
/// `ascii_only`, true only for ASCII.
#[napi(catch_unwind)]
#[cfg_attr(
    test,
    allow(dead_code, reason = "only the registration with Node refers to it")
)]
pub fn is_plain(text: Unknown<'_>, length: u32, ascii_only: bool) -> Result<bool> {
    with_utf8(&text, length, |bytes| {
        let mut all = 0;
        for chunk in bytes.chunks(PLAIN_LOOK) {
            // Checks the whole chunk without a branch, so that the compiler vectorises the loop.
            let (escaped, bits) = chunk.iter().fold((0, 0), |(escaped, bits), byte| {
                let below = u8::from(*byte < 0x20);
                let escaped = escaped | below | u8::from(*byte == b'"');
                (escaped | u8::from(*byte == b'\\'), bits | *byte)
            });
            if escaped != 0 {
                return false;
            }
            all |= bits;
        }
        // Half a surrogate pair is escaped, and has become U+FFFD here.
        all.is_ascii() || (!ascii_only && memchr::memmem::find(bytes, b"\xef\xbf\xbd").is_none())
    })
}

/// A JavaScript string of bytes that are ASCII.
pub(super) fn ascii(env: sys::napi_env, bytes: &[u8]) -> Result<sys::napi_value> {
    debug_assert!(bytes.is_ascii());
    let mut value = ptr::null_mut();
    // SAFETY: the pointer and length are those of a live slice; N-API copies it.
    check_status!(
        unsafe {
            sys::napi_create_string_latin1(
                env,
                bytes.as_ptr().cast(),
                length(bytes.len())?,
                &raw mut value,
            )
        },
        "A message of {} bytes is longer than a JavaScript string can be",
        bytes.len()
    )?;
    Ok(value)
}

/// A JavaScript string of UTF-8. Invalid UTF-8 becomes U+FFFD, as in `Buffer.toString()`.
pub(super) fn utf8(env: sys::napi_env, bytes: &[u8]) -> Result<sys::napi_value> {
    if bytes.is_ascii() {
        return ascii(env, bytes);
    }
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut value = ptr::null_mut();
    // SAFETY: as in `ascii`.
    check_status!(
        unsafe {
            sys::napi_create_string_utf8(
                env,
                text.as_ptr().cast(),
                length(text.len())?,
                &raw mut value,
            )
        },
        "A message of {} bytes is longer than a JavaScript string can be",
        bytes.len()
    )?;
    Ok(value)
}

/// A JavaScript string of UTF-16.
pub(super) fn utf16(env: sys::napi_env, units: &[u16]) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: as in `ascii`.
    check_status!(
        unsafe {
            sys::napi_create_string_utf16(env, units.as_ptr(), length(units.len())?, &raw mut value)
        },
        "Messages of {} characters are longer than a JavaScript string can be",
        units.len()
    )?;
    Ok(value)
}

fn length(length: usize) -> Result<isize> {
    isize::try_from(length).map_err(|_| Error::new(Status::InvalidArg, "text too long"))
}

/// A frame to be sent, as JavaScript describes it.
pub(super) struct OutgoingFrame<'data> {
    /// The length of its text in UTF-16 units.
    pub units: usize,
    /// The kind of a binary frame; `None` for a text frame, whose terminator is part of its text.
    pub kind: Option<u8>,
    /// The data of a binary frame.
    pub data: &'data [u8],
}

/// Runs `f` on the bytes of frames whose texts are concatenated in a string of `length` UTF-16
/// units. `f` may take the buffer.
pub(super) fn with_frames<'data, R>(
    text: &Unknown<'_>,
    length: u32,
    frames: impl ExactSizeIterator<Item = OutgoingFrame<'data>>,
    f: impl FnOnce(&mut Vec<u8>) -> R,
) -> Result<R> {
    thread_local! {
        static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    OUT.with_borrow_mut(|out| {
        out.clear();
        if frames.len() == 1 {
            // A long text is not copied again.
            for frame in frames {
                if frame.kind.is_some() {
                    out.extend_from_slice(&[0; BinaryHeader::LENGTH]);
                }
                append_utf8(text, length as usize, out, frame.data.len())?;
                if let Some(kind) = frame.kind {
                    let text = out.len() - BinaryHeader::LENGTH;
                    let header = header(kind, text, frame.data)?;
                    out[..BinaryHeader::LENGTH].copy_from_slice(&header);
                    out.extend_from_slice(frame.data);
                }
            }
        } else {
            TEXT.with_borrow_mut(|text_bytes| {
                text_bytes.clear();
                append_utf8(text, length as usize, text_bytes, 0)?;
                append_frames(out, text_bytes, length as usize, frames)?;
                if text_bytes.capacity() > KEEP_CAPACITY {
                    *text_bytes = Vec::new();
                }
                Ok::<_, Error>(())
            })?;
        }
        let result = f(out);
        if out.capacity() > KEEP_CAPACITY {
            *out = Vec::new();
        }
        Ok(result)
    })
}

fn append_frames<'data>(
    out: &mut Vec<u8>,
    text: &[u8],
    length: usize,
    frames: impl Iterator<Item = OutgoingFrame<'data>>,
) -> Result<()> {
    let is_ascii = text.len() == length;
    let mut rest = text;
    for frame in frames {
        let bytes = if is_ascii {
            frame.units.min(rest.len())
        } else {
            prefix_of_units(rest, frame.units)
        };
        let (text, after) = rest.split_at(bytes);
        rest = after;
        if let Some(kind) = frame.kind {
            out.extend_from_slice(&header(kind, text.len(), frame.data)?);
        }
        out.extend_from_slice(text);
        out.extend_from_slice(frame.data);
    }
    Ok(())
}

fn header(kind: u8, text: usize, data: &[u8]) -> Result<[u8; BinaryHeader::LENGTH]> {
    let length = |bytes: usize| {
        u32::try_from(bytes).map_err(|_| Error::new(Status::InvalidArg, "frame too long"))
    };
    Ok(BinaryHeader {
        kind,
        text: length(text)?,
        data: length(data.len())?,
    }
    .to_bytes())
}

/// The number of bytes of `text`, which is UTF-8, that make `units` UTF-16 units.
fn prefix_of_units(text: &[u8], units: usize) -> usize {
    let mut left = units;
    for (index, byte) in text.iter().enumerate() {
        // Units are counted at the first byte of each character.
        let width = match byte {
            0x80..=0xbf => continue,
            0xf0.. => 2,
            _ => 1,
        };
        if left < width {
            return index;
        }
        left -= width;
    }
    text.len()
}

/// Like [`frames`], where some frames are binary. Their text becomes a part of the string, and they
/// are copied to `bytes` as a whole. `ends` gets two numbers of each frame: its end in the string,
/// and its end in `bytes`.
pub(super) fn mixed_frames(
    env: sys::napi_env,
    batch: &[u8],
    lengths: &[FrameLength],
    bytes: &mut [u8],
    ends: &mut Vec<u32>,
) -> Result<sys::napi_value> {
    let mut text = Vec::with_capacity(batch.len());
    let mut text_lengths = Vec::with_capacity(lengths.len());
    let mut byte_ends = Vec::with_capacity(lengths.len());
    let mut rest = batch;
    let mut used = 0;
    for length in lengths {
        let (frame, after) = rest.split_at(length.bytes());
        rest = after;
        let part = if length.is_binary() {
            bytes
                .get_mut(used..used + frame.len())
                .ok_or_else(|| Error::new(Status::InvalidArg, "batch too long"))?
                .copy_from_slice(frame);
            used += frame.len();
            text_of(frame)
        } else {
            frame
        };
        text.extend_from_slice(part);
        text_lengths.push(FrameLength::new(part.len(), false));
        byte_ends.push(used);
    }
    let mut text_ends = Vec::with_capacity(lengths.len());
    let string = frames(env, &text, &text_lengths, &mut text_ends)?;
    // A batch is far smaller than 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    for (text_end, byte_end) in text_ends.into_iter().zip(byte_ends) {
        ends.extend([text_end, byte_end as u32]);
    }
    Ok(string)
}

/// The text of a binary frame.
pub(super) fn text_of(frame: &[u8]) -> &[u8] {
    BinaryHeader::read(frame).map_or(&[], |header| {
        let end = BinaryHeader::LENGTH + header.text as usize;
        &frame[BinaryHeader::LENGTH..end.min(frame.len())]
    })
}

/// Makes one string of many frames. `ends` gets the end of each frame, in UTF-16 units from the
/// beginning of the string.
pub(super) fn frames(
    env: sys::napi_env,
    text: &[u8],
    lengths: &[FrameLength],
    ends: &mut Vec<u32>,
) -> Result<sys::napi_value> {
    if text.is_ascii() {
        let mut end = 0;
        // A batch is far smaller than 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        ends.extend(lengths.iter().map(|length| {
            end += length.bytes() as u32;
            end
        }));
        return ascii(env, text);
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    for length in lengths {
        let (frame, after) = rest.split_at(length.bytes());
        rest = after;
        // Each frame is decoded separately, because an incomplete character at its end must not
        // take bytes of the next frame.
        units.extend(String::from_utf8_lossy(frame).encode_utf16());
        ends.push(
            u32::try_from(units.len())
                .map_err(|_| Error::new(Status::InvalidArg, "text too long"))?,
        );
    }
    utf16(env, &units)
}
