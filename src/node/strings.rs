//! Strings, in both directions.
//!
//! V8 stores a string in one byte a character where it can, and N-API makes such a string from
//! Latin-1 by copying. ASCII is Latin-1, and JSON is mostly ASCII.

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

/// Bytes that are searched for characters that JSON escapes, between two decisions.
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
        append_utf8(value, length as usize, &mut out)?;
        let result = f(&mut out);
        if out.capacity() > KEEP_CAPACITY {
            *out = Vec::new();
        }
        Ok(result)
    })
}

/// Whether the buffer of [`with_utf8`] may be kept while a slow peer reads: it has little unused
/// capacity.
pub(super) fn is_filled(bytes: &Vec<u8>) -> bool {
    bytes.capacity() - bytes.len() <= bytes.len() / 8
}

fn append_utf8(value: &Unknown<'_>, length: usize, out: &mut Vec<u8>) -> Result<()> {
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
    }
    out.reserve(capacity + 1);
    let mut written = 0;
    // SAFETY: the buffer has room for `capacity` bytes and the NUL that N-API adds; N-API writes no
    // more than the size it is given.
    check_status!(
        unsafe {
            sys::napi_get_value_string_utf8(
                raw.env,
                raw.value,
                out.as_mut_ptr().cast(),
                capacity + 1,
                &raw mut written,
            )
        },
        "Expected a string"
    )?;
    // SAFETY: N-API has just initialised `written` bytes, which is at most `capacity`.
    unsafe { out.set_len(written) };
    Ok(())
}

/// Whether a string of `length` UTF-16 units stands for itself between quotes in JSON.
#[napi(catch_unwind)]
#[cfg_attr(
    test,
    allow(dead_code, reason = "only the registration with Node refers to it")
)]
pub fn is_plain(text: Unknown<'_>, length: u32) -> Result<bool> {
    with_utf8(&text, length, |bytes| {
        let escaped = bytes.chunks(PLAIN_LOOK).any(|chunk| {
            // All of a chunk and without a branch, so that the compiler vectorises it.
            let found = chunk.iter().fold(0, |found, byte| {
                found | u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
            });
            found != 0
        });
        // Half a surrogate pair is escaped, and has become U+FFFD here.
        !escaped && (bytes.is_ascii() || memchr::memmem::find(bytes, b"\xef\xbf\xbd").is_none())
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

/// Makes one string of many frames. `ends` gets the end of each frame, in UTF-16 units from the
/// beginning of the string.
pub(super) fn frames(
    env: sys::napi_env,
    text: &[u8],
    lengths: &[u32],
    ends: &mut Vec<u32>,
) -> Result<sys::napi_value> {
    let mut end = 0;
    if text.is_ascii() {
        ends.extend(lengths.iter().map(|length| {
            end += length;
            end
        }));
        return ascii(env, text);
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    for length in lengths {
        let (frame, after) = rest.split_at(*length as usize);
        rest = after;
        // Frame by frame: an incomplete character at the end of a frame must not take bytes of the
        // next.
        units.extend(String::from_utf8_lossy(frame).encode_utf16());
        ends.push(
            u32::try_from(units.len())
                .map_err(|_| Error::new(Status::InvalidArg, "text too long"))?,
        );
    }
    utf16(env, &units)
}
