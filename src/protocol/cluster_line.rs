//! Messages between the nodes of a cluster of servers: a line of ASCII, and a body.
//!
//! ```text
//! SH1 <kind> <node> <seq> <bseq> <flags> <type length> <extra length> [<signature>]\n
//! <type><extra><payload>
//! ```
//!
//! Lengths are in bytes. The payload is JSON without an envelope, and is not parsed here. Fields
//! that follow the signature are ignored, so that later versions can add some; a line without a
//! signature has "-" in its place then.

use thiserror::Error;

/// The longest line, in bytes with its line feed.
const MAX_LINE: usize = 512;
/// The longest type and the longest extra fields, in bytes.
const MAX_PART: usize = 64 * 1024;
/// The length of the id of a node.
const NODE_LENGTH: usize = 16;
/// The most digits of a number, so that JavaScript counts exactly.
const NUMBER_DIGITS: usize = 15;
const FLAG_DIGITS: usize = 8;
const LENGTH_DIGITS: usize = 9;
/// The longest signature.
const SIGNATURE_LENGTH: usize = 64;

const MAGIC: &[u8] = b"SH1";

/// Why a message is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClusterLineError {
    /// The line is that of another version.
    #[error("a message of another version")]
    Version,
    /// The message is malformed.
    #[error("a malformed message")]
    Malformed,
}

/// A message of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterLine<'a> {
    /// The kind, a printable character.
    pub kind: u8,
    /// The id of the node that sent it.
    pub node: &'a str,
    /// The number of the message among all of its node.
    pub seq: u64,
    /// The number of the last message of the node to all nodes.
    pub bseq: u64,
    /// Bits.
    pub flags: u32,
    /// The signature, if there is one.
    pub signature: Option<&'a str>,
    /// Where the body begins: the bytes after the line.
    pub body: usize,
    /// The name of the payload's class.
    pub type_name: &'a str,
    /// Fields that only some kinds have, as JSON.
    pub extra: &'a [u8],
    /// JSON. Empty if there is none.
    pub payload: &'a [u8],
}

impl<'a> ClusterLine<'a> {
    /// Reads the line of a message, and divides its body.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ClusterLineError> {
        let start = &bytes[..bytes.len().min(MAX_LINE)];
        let end = memchr::memchr(b'\n', start).ok_or(ClusterLineError::Malformed)?;
        let mut fields = bytes[..end].split(|byte| *byte == b' ');
        let magic = fields.next();
        if magic == Some(MAGIC) {
            return Self::read_fields(fields, bytes, end + 1).ok_or(ClusterLineError::Malformed);
        }
        let version = magic.and_then(|magic| magic.strip_prefix(b"SH"));
        let is_version = version.is_some_and(|version| text(version, MAX_LINE, is_digit).is_some());
        Err(if is_version && fields.next().is_some() {
            ClusterLineError::Version
        } else {
            ClusterLineError::Malformed
        })
    }

    fn read_fields(
        mut fields: impl Iterator<Item = &'a [u8]>,
        bytes: &'a [u8],
        body: usize,
    ) -> Option<Self> {
        let kind = match fields.next()? {
            [kind] if kind.is_ascii_graphic() => *kind,
            _ => return None,
        };
        let node = text(fields.next()?, NODE_LENGTH, is_base64url)?;
        if node.len() != NODE_LENGTH {
            return None;
        }
        let seq = number(fields.next()?, NUMBER_DIGITS)?;
        let bseq = number(fields.next()?, NUMBER_DIGITS)?;
        let flags = text(fields.next()?, FLAG_DIGITS, is_lower_hex)?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let type_length = part_length(fields.next()?)?;
        let extra_length = part_length(fields.next()?)?;
        let signature = fields
            .next()
            .filter(|field| *field != b"-")
            .and_then(|field| text(field, SIGNATURE_LENGTH, is_base64url));
        let (type_name, rest) = bytes[body..].split_at_checked(type_length)?;
        let (extra, payload) = rest.split_at_checked(extra_length)?;
        Some(Self {
            kind,
            node,
            seq,
            bseq,
            flags,
            signature,
            body,
            type_name: std::str::from_utf8(type_name).ok()?,
            extra,
            payload,
        })
    }

    /// Appends the message as a client gets it, without a terminator: the payload alone, or in an
    /// envelope with its type.
    pub fn write_frame(&self, json_mode: bool, out: &mut Vec<u8>) {
        if json_mode {
            out.extend_from_slice(self.payload);
            return;
        }
        out.extend_from_slice(b"{\"type\":");
        // Writing to a vector, and a string: neither can fail.
        let _ = serde_json::to_writer(&mut *out, self.type_name);
        if !self.payload.is_empty() {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(self.payload);
        }
        out.push(b'}');
    }
}

/// A field of 1 to `limit` characters of one class, which are ASCII.
fn text(field: &[u8], limit: usize, is_of_class: fn(u8) -> bool) -> Option<&str> {
    let is_valid = (1..=limit).contains(&field.len()) && field.iter().copied().all(is_of_class);
    std::str::from_utf8(field).ok().filter(|_| is_valid)
}

fn number(field: &[u8], digits: usize) -> Option<u64> {
    text(field, digits, is_digit)?.parse().ok()
}

fn part_length(field: &[u8]) -> Option<usize> {
    let length = usize::try_from(number(field, LENGTH_DIGITS)?).ok()?;
    (length <= MAX_PART).then_some(length)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests;
