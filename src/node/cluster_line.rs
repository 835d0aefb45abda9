//! Messages between the nodes of a cluster, as JavaScript gets their fields.

use super::values::number;
use crate::protocol::{ClusterLine, ClusterLineError, ClusterRun};
use napi::bindgen_prelude::{Error, Float64ArraySlice, Result, Status, Uint8ArraySlice};
use napi_derive::napi;

/// The indices of the fields that [`read_cluster_line`] and [`read_cluster_run`] write.
#[napi]
pub enum ClusterField {
    /// The character code of the kind.
    Kind,
    /// The number of the message among all of its node.
    Seq,
    /// The number of the last message of the node to all nodes.
    Bseq,
    /// Bits.
    Flags,
    /// Where the type begins, in bytes: after the line.
    TypeAt,
    /// Where the extra fields begin.
    ExtraAt,
    /// Where the payload begins.
    PayloadAt,
    /// The length of the signature, 0 without one.
    SignatureLength,
    /// The number of messages, if there are several.
    Count,
    /// `Seq` of the last message, if there are several.
    LastSeq,
    /// `Bseq` of the last message, if there are several.
    LastBseq,
    /// The number of fields.
    Length,
}

/// The array of JavaScript that the fields are written to, if it is long enough.
fn fields_of<'a>(fields: &'a mut Float64ArraySlice<'_>) -> Result<&'a mut [f64]> {
    // SAFETY: JavaScript, which has the array as well, does not run during the call.
    let fields = unsafe { fields.as_mut() };
    if fields.len() < ClusterField::Length as usize {
        return Err(Error::new(Status::InvalidArg, "The array is too short"));
    }
    Ok(fields)
}

/// Reads the line of a message of another node. Writes its numbers to `fields`, and returns the id
/// of the node. `null`: the message is malformed, or of another version; then the first field is 1.
#[napi(catch_unwind)]
#[cfg_attr(
    test,
    allow(dead_code, reason = "only the registration with Node refers to it")
)]
pub fn read_cluster_line(
    bytes: Uint8ArraySlice<'_>,
    mut fields: Float64ArraySlice<'_>,
) -> Result<Option<String>> {
    let fields = fields_of(&mut fields)?;
    let line = match ClusterLine::read(&bytes) {
        Ok(line) => line,
        Err(error) => {
            let is_version = error == ClusterLineError::Version;
            fields[ClusterField::Kind as usize] = f64::from(u8::from(is_version));
            return Ok(None);
        }
    };
    write_fields(fields, &line, 0);
    Ok(Some(line.node.to_owned()))
}

/// Like [`read_cluster_line`], for messages that were published as one and that `deliver_messages`
/// can pass on together. Writes the fields of the first one. `null`: they are not alike.
#[napi(catch_unwind)]
#[cfg_attr(
    test,
    allow(dead_code, reason = "only the registration with Node refers to it")
)]
pub fn read_cluster_run(
    bytes: Uint8ArraySlice<'_>,
    mut fields: Float64ArraySlice<'_>,
) -> Result<Option<String>> {
    let fields = fields_of(&mut fields)?;
    let Some(run) = ClusterRun::read(&bytes) else {
        return Ok(None);
    };
    let (Some(first), Some(last)) = (run.lines.first(), run.lines.last()) else {
        return Ok(None);
    };
    write_fields(fields, first, run.first_at);
    fields[ClusterField::Count as usize] = number(run.lines.len() as u64);
    fields[ClusterField::LastSeq as usize] = number(last.seq);
    fields[ClusterField::LastBseq as usize] = number(last.bseq);
    Ok(Some(first.node.to_owned()))
}

/// Writes the fields of a message that begins at `start`.
fn write_fields(fields: &mut [f64], line: &ClusterLine<'_>, start: usize) {
    let body = start + line.body;
    let extra_at = body + line.type_name.len();
    fields[ClusterField::Kind as usize] = f64::from(line.kind);
    fields[ClusterField::Seq as usize] = number(line.seq);
    fields[ClusterField::Bseq as usize] = number(line.bseq);
    fields[ClusterField::Flags as usize] = f64::from(line.flags);
    fields[ClusterField::TypeAt as usize] = number(body as u64);
    fields[ClusterField::ExtraAt as usize] = number(extra_at as u64);
    fields[ClusterField::PayloadAt as usize] = number((extra_at + line.extra.len()) as u64);
    fields[ClusterField::SignatureLength as usize] =
        number(line.signature.map_or(0, str::len) as u64);
}
