//! Several similar messages of a node that it has published as one, so that they can be passed on
//! together.
//!
//! ```text
//! SHM1\n, then for each message its length in four bytes, the highest first, and its bytes
//! ```

use super::cluster_line::ClusterLine;

const MAGIC: &[u8] = b"SHM1\n";
const LENGTH_BYTES: usize = 4;

/// Messages of one kind and with the same extra fields, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRun<'a> {
    /// The messages, at least one.
    pub lines: Vec<ClusterLine<'a>>,
    /// Where the first message begins.
    pub first_at: usize,
}

impl<'a> ClusterRun<'a> {
    /// Reads messages that were published as one. `None`: they are not, are malformed, signed, or
    /// differ in more than their payloads and numbers, or have a message missing between them.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut lines: Vec<ClusterLine<'a>> = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (message, after) = after.split_at_checked(length)?;
            let line = ClusterLine::read(message).ok()?;
            let follows = lines.last().is_none_or(|last| follows(last, &line));
            if line.signature.is_some() || !follows {
                return None;
            }
            lines.push(line);
            rest = after;
        }
        let first_at = MAGIC.len() + LENGTH_BYTES;
        (!lines.is_empty()).then_some(Self { lines, first_at })
    }
}

/// Whether a message is similar to the previous one, and is the next one to all nodes or to the
/// same group.
fn follows(last: &ClusterLine<'_>, line: &ClusterLine<'_>) -> bool {
    line.kind == last.kind
        && line.node == last.node
        && line.extra == last.extra
        && line.seq > last.seq
        && (line.bseq == last.bseq || line.bseq == last.bseq + 1)
}

#[cfg(test)]
mod tests {
    use super::{ClusterRun, LENGTH_BYTES, MAGIC};
    use proptest::prelude::*;

    const NODE: &str = "AbCd_fgh-jklmnop";

    fn parcel(messages: &[String]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for message in messages {
            bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(message.as_bytes());
        }
        bytes
    }

    fn broadcast(seq: u64, bseq: u64) -> String {
        format!("SH1 A {NODE} {seq} {bseq} 0 6 0\nObject{seq}")
    }

    #[test]
    fn messages_of_one_kind_are_read_in_their_order() {
        let bytes = parcel(&[broadcast(4, 2), broadcast(5, 3), broadcast(9, 4)]);
        let run = ClusterRun::read(&bytes).unwrap();
        let payloads: Vec<_> = run.lines.iter().map(|line| line.payload).collect();
        assert_eq!(payloads, [b"4", b"5", b"9"]);
        assert!(bytes[run.first_at..].starts_with(b"SH1 A"));
    }

    #[test]
    fn messages_that_differ_are_no_run() {
        let group = |seq: u64, extra: &str| {
            let length = extra.len();
            format!("SH1 G {NODE} {seq} 1 0 0 {length}\n{extra}1")
        };
        assert!(ClusterRun::read(&parcel(&[group(1, "{}"), group(2, "{}")])).is_some());
        for messages in [
            vec![],
            vec![group(1, "{}"), group(2, "[]")],
            vec![group(1, "{}"), broadcast(2, 2)],
            vec![broadcast(2, 2), broadcast(2, 3)],
            vec![broadcast(2, 2), broadcast(3, 4)],
            vec![broadcast(2, 2), broadcast(3, 1)],
            vec![
                broadcast(1, 1),
                broadcast(2, 2).replace(NODE, "another_node-16x"),
            ],
            vec![format!("SH1 A {NODE} 1 1 0 0 0 c2lnbmF0dXJl\n1")],
            vec![String::new()],
        ] {
            assert_eq!(ClusterRun::read(&parcel(&messages)), None, "{messages:?}");
        }
        assert_eq!(ClusterRun::read(broadcast(1, 1).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_divided_without_a_rest_or_refused(
            count in 1..5_u64,
            cut in any::<proptest::sample::Index>(),
            changes in prop::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let messages: Vec<_> = (1..=count).map(|n| broadcast(n, n)).collect();
            let mut bytes = parcel(&messages);
            bytes.truncate(cut.index(bytes.len()) + 1);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(run) = ClusterRun::read(&bytes) {
                let size = |line: &super::ClusterLine<'_>| {
                    let body = line.type_name.len() + line.extra.len() + line.payload.len();
                    LENGTH_BYTES + line.body + body
                };
                let sizes: usize = run.lines.iter().map(size).sum();
                prop_assert_eq!(MAGIC.len() + sizes, bytes.len());
            }
        }
    }
}
