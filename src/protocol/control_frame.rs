//! The control frames, which Rust reads and writes itself: pings and pongs.
//!
//! ```text
//! {"type":"SockhopPing","data":{"_id":"<uuid>","_created":"<date>","_returned":null,"_finished":null}}
//! {"type":"SockhopPong","data":{"_id":"<same>","_created":"<same>","_returned":"<date>","_finished":null}}
//! ```

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::terminator::Terminator;
use super::timestamp::iso8601;

/// The longest frame in bytes that [`parse_control`] reads. A real ping has about 150.
pub const MAX_CONTROL_FRAME: usize = 4096;

/// The length of the shortest ping: `{"type":"SockhopPing","data":{}}`.
const MIN_CONTROL_FRAME: usize = 32;

const PING: &str = "SockhopPing";
const PONG: &str = "SockhopPong";

/// A frame for the connection, as opposed to the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// A ping, to be answered with [`write_pong`].
    Ping(PingBody),
    /// A pong, the answer to the ping with [`PingBody::id`].
    Pong(PingBody),
}

/// The content of pings and pongs. The sender chooses the values, of any JSON type. Values that are
/// falsy in JavaScript (`null`, `false`, `0`, `""`, or a missing field) are [`Value::Null`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PingBody {
    /// The id of the ping within its connection, usually a UUID.
    pub id: Value,
    /// When the ping was sent, by the sender's clock.
    pub created: Value,
    /// When it was answered, by the clock of the answering end.
    pub returned: Value,
    /// When the answer arrived; not used in frames.
    pub finished: Value,
}

/// Parses a ping or a pong. Returns `None` for any other frame, which belongs to the program.
///
/// As in JavaScript, keys may occur in any order, more than once (the last one counts), and among
/// other keys. The result is also `None` for a frame that
///
/// - is not JSON text in valid UTF-8,
/// - is longer than [`MAX_CONTROL_FRAME`],
/// - has `data` that is not an object, or in one of the four fields a value that cannot be
///   represented: nested deeper than 125 levels, or a number beyond the range of a double,
/// - has a field `draining` in its `data`, by which a server announces that it is going to end the
///   connection. JavaScript answers it, and sends nothing after the answer.
///
/// Most other frames are recognised by their size or by one quick search.
#[must_use]
pub fn parse_control(frame: &[u8]) -> Option<Control> {
    if !(MIN_CONTROL_FRAME..=MAX_CONTROL_FRAME).contains(&frame.len()) || !may_be_control(frame) {
        return None;
    }
    let text = std::str::from_utf8(frame).ok()?;
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    match (envelope.kind, envelope.data) {
        (Field::Ping, Field::Body(body)) => Some(Control::Ping(body)),
        (Field::Pong, Field::Body(body)) => Some(Control::Pong(body)),
        _ => None,
    }
}

/// Appends a ping and its terminator.
///
/// `json_mode` omits the envelope, as peers of `peer_type: "json"` expect.
pub fn write_ping(
    out: &mut Vec<u8>,
    id: &str,
    created_ms: u64,
    terminator: &Terminator,
    json_mode: bool,
) {
    let body = PingBody {
        id: id.into(),
        created: iso8601(created_ms).into(),
        ..PingBody::default()
    };
    write(out, PING, &body, terminator, json_mode);
}

/// Appends the answer to `ping` and its terminator.
///
/// A ping that has been answered already keeps that date; otherwise the answer contains
/// `returned_ms`. `json_mode` omits the envelope, as peers of `peer_type: "json"` expect.
pub fn write_pong(
    out: &mut Vec<u8>,
    ping: &PingBody,
    returned_ms: u64,
    terminator: &Terminator,
    json_mode: bool,
) {
    if ping.returned.is_null() {
        let returned = iso8601(returned_ms).into();
        write(
            out,
            PONG,
            &PingBody {
                returned,
                ..ping.clone()
            },
            terminator,
            json_mode,
        );
    } else {
        write(out, PONG, ping, terminator, json_mode);
    }
}

fn write(out: &mut Vec<u8>, kind: &str, body: &PingBody, terminator: &Terminator, json_mode: bool) {
    if !json_mode {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"data\":");
    }
    for (key, value) in [
        ("{\"_id\":", &body.id),
        (",\"_created\":", &body.created),
        (",\"_returned\":", &body.returned),
        (",\"_finished\":", &body.finished),
    ] {
        out.extend_from_slice(key.as_bytes());
        serde_json::to_writer(&mut *out, value).expect("a JSON value can be written to memory");
    }
    out.extend_from_slice(if json_mode { b"}" } else { b"}}" });
    out.extend_from_slice(terminator.as_bytes());
}

/// Whether `frame` contains a string that every ping and pong contains: the common beginning of
/// both names, or an escape sequence. A peer's JSON writer may spell the name with escapes. Most
/// frames do not contain the byte of these strings that is rare elsewhere.
fn may_be_control(frame: &[u8]) -> bool {
    static NAME: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new("SockhopP"));
    static ESCAPE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\\u"));
    memchr::memchr2(b'P', b'\\', frame).is_some()
        && (NAME.find(frame).is_some() || ESCAPE.find(frame).is_some())
}

/// JavaScript's `value || null`.
fn truthy_or_null(value: Value) -> Value {
    let falsy = match &value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    };
    if falsy { Value::Null } else { value }
}

/// The outermost object of a frame.
#[derive(Default)]
struct Envelope {
    kind: Field,
    data: Field,
}

/// The value of a field of the envelope.
#[derive(Default)]
enum Field {
    /// The type of a ping.
    Ping,
    /// The type of a pong.
    Pong,
    /// Any object.
    Body(PingBody),
    /// Any other value, or none.
    #[default]
    Other,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EnvelopeKey {
    Type,
    Data,
    #[serde(other)]
    Other,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum BodyKey {
    #[serde(rename = "_id")]
    Id,
    #[serde(rename = "_created")]
    Created,
    #[serde(rename = "_returned")]
    Returned,
    #[serde(rename = "_finished")]
    Finished,
    Draining,
    #[serde(other)]
    Other,
}

// Written by hand, because a derived `Deserialize` refuses an object with a duplicate key.

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;

        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an envelope")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        EnvelopeKey::Type => envelope.kind = map.next_value()?,
                        EnvelopeKey::Data => envelope.data = map.next_value()?,
                        EnvelopeKey::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;

        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(match text {
                    PING => Field::Ping,
                    PONG => Field::Pong,
                    _ => Field::Other,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_body(map)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }
        }

        deserializer.deserialize_any(FieldVisitor)
    }
}

fn read_body<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field, A::Error> {
    let mut body = PingBody::default();
    let mut is_draining = false;
    while let Some(key) = map.next_key()? {
        let field = match key {
            BodyKey::Id => &mut body.id,
            BodyKey::Created => &mut body.created,
            BodyKey::Returned => &mut body.returned,
            BodyKey::Finished => &mut body.finished,
            BodyKey::Draining | BodyKey::Other => {
                is_draining |= matches!(key, BodyKey::Draining);
                map.next_value::<IgnoredAny>()?;
                continue;
            }
        };
        *field = truthy_or_null(map.next_value()?);
    }
    Ok(if is_draining {
        Field::Other
    } else {
        Field::Body(body)
    })
}

#[cfg(test)]
mod tests;
