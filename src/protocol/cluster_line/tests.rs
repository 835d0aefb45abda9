use super::{ClusterLine, ClusterLineError, MAX_LINE, MAX_PART};
use proptest::prelude::*;

const NODE: &str = "AbCd_fgh-jklmnop";

fn message(line: &str, body: &str) -> Vec<u8> {
    format!("{line}\n{body}").into_bytes()
}

fn error_of(bytes: &[u8]) -> ClusterLineError {
    ClusterLine::read(bytes).unwrap_err()
}

fn frame(bytes: &[u8], json_mode: bool) -> String {
    let mut out = Vec::new();
    ClusterLine::read(bytes)
        .unwrap()
        .write_frame(json_mode, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_has_its_fields_and_divides_the_body() {
    let bytes = message(
        &format!("SH1 A {NODE} 17 4 1f 6 8 c2lnbmF0dXJl"),
        "Object{\"e\":[]}{\"price\":7}",
    );
    let line = ClusterLine::read(&bytes).unwrap();
    assert_eq!(
        line,
        ClusterLine {
            kind: b'A',
            node: NODE,
            seq: 17,
            bseq: 4,
            flags: 0x1f,
            signature: Some("c2lnbmF0dXJl"),
            body: bytes.len() - 25,
            type_name: "Object",
            extra: b"{\"e\":[]}",
            payload: b"{\"price\":7}",
        }
    );
}

#[test]
fn the_signature_may_be_missing_and_fields_of_later_versions_are_ignored() {
    for (rest, signature) in [
        ("", None),
        (" -", None),
        (" - later fields", None),
        (" abc later fields", Some("abc")),
        (" no!signature", None),
        ("  ", None),
    ] {
        let bytes = message(&format!("SH1 H {NODE} 0 0 0 0 0{rest}"), "");
        assert_eq!(ClusterLine::read(&bytes).unwrap().signature, signature);
    }
}

#[test]
fn another_version_is_told_from_a_message_that_is_none() {
    for line in ["SH2 A whatever follows", "SH12 ", "SH0 A"] {
        assert_eq!(error_of(&message(line, "")), ClusterLineError::Version);
    }
    for line in ["", "SH", "SH ", "SHx A", "SH2", "HTTP/1.1 200 OK", " SH1 A"] {
        assert_eq!(error_of(&message(line, "")), ClusterLineError::Malformed);
    }
}

#[test]
fn a_field_that_has_not_its_form_is_refused() {
    for line in [
        format!("SH1 AB {NODE} 0 0 0 0 0"),
        format!("SH1  {NODE} 0 0 0 0 0"),
        format!("SH1 A {NODE}x 0 0 0 0 0"),
        format!("SH1 A {} 0 0 0 0 0", &NODE[1..]),
        "SH1 A AbCd+fgh/jklmnop 0 0 0 0 0".to_owned(),
        format!("SH1 A {NODE} -1 0 0 0 0"),
        format!("SH1 A {NODE} +1 0 0 0 0"),
        format!("SH1 A {NODE} 1.5 0 0 0 0"),
        format!("SH1 A {NODE}  0 0 0 0"),
        format!("SH1 A {NODE} 1000000000000000 0 0 0 0"),
        format!("SH1 A {NODE} 0 0 g 0 0"),
        format!("SH1 A {NODE} 0 0 F 0 0"),
        format!("SH1 A {NODE} 0 0 100000000 0 0"),
        format!("SH1 A {NODE} 0 0 0 0"),
        format!("SH1 A {NODE} 0 0 0 1 0"),
        format!("SH1 A {NODE} 0 0 0 0 1"),
    ] {
        let bytes = message(&line, "");
        assert_eq!(error_of(&bytes), ClusterLineError::Malformed, "{line}");
    }
}

#[test]
fn lines_and_parts_have_a_longest_length() {
    let start = format!("SH1 A {NODE} 0 0 0 0 0 - ");
    let longest = MAX_LINE - 1 - start.len();
    let line = |length| format!("{start}{}", "x".repeat(length));
    assert!(ClusterLine::read(&message(&line(longest), "")).is_ok());
    assert!(ClusterLine::read(&message(&line(longest + 1), "")).is_err());
    for length in [MAX_PART, MAX_PART + 1] {
        let body = "x".repeat(2 * MAX_PART);
        for line in [
            format!("SH1 A {NODE} 0 0 0 {length} 0"),
            format!("SH1 A {NODE} 0 0 0 0 {length}"),
        ] {
            let read = ClusterLine::read(&message(&line, &body)).is_ok();
            assert_eq!(read, length == MAX_PART);
        }
    }
}

#[test]
fn a_frame_is_the_envelope_of_the_payload_or_the_payload_alone() {
    let line = |kind: &str, body: &str| {
        message(
            &format!("SH1 A {NODE} 0 0 0 {} 0", kind.len()),
            &format!("{kind}{body}"),
        )
    };
    let bytes = line("Object", "{\"a\":[1]}");
    assert_eq!(
        frame(&bytes, false),
        "{\"type\":\"Object\",\"data\":{\"a\":[1]}}"
    );
    assert_eq!(frame(&bytes, true), "{\"a\":[1]}");
    assert_eq!(
        frame(&line("Q\"\u{1}ä", ""), false),
        "{\"type\":\"Q\\\"\\u0001ä\"}"
    );
}

#[test]
fn a_type_that_is_no_utf8_is_refused() {
    let mut bytes = message(&format!("SH1 A {NODE} 0 0 0 1 0"), "");
    bytes.push(0xff);
    assert_eq!(error_of(&bytes), ClusterLineError::Malformed);
}

proptest! {
    #[test]
    fn a_line_that_was_written_is_read_with_the_same_fields(
        kind in "[!-~]",
        node in "[A-Za-z0-9_-]{16}",
        seq in 0..1_000_000_000_000_000_u64,
        bseq in 0..1_000_000_000_000_000_u64,
        flags: u32,
        signature in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"),
        type_name in ".{0,20}",
        extra in ".{0,40}",
        payload in "(.|\n){0,100}",
    ) {
        let signed = signature.as_ref().map_or(String::new(), |signature| format!(" {signature}"));
        let (types, extras) = (type_name.len(), extra.len());
        let bytes = message(
            &format!("SH1 {kind} {node} {seq} {bseq} {flags:x} {types} {extras}{signed}"),
            &format!("{type_name}{extra}{payload}"),
        );
        let line = ClusterLine::read(&bytes).unwrap();
        prop_assert_eq!(&[line.kind], kind.as_bytes());
        prop_assert_eq!(line.node, node);
        prop_assert_eq!((line.seq, line.bseq, line.flags), (seq, bseq, flags));
        prop_assert_eq!(line.signature, signature.as_deref());
        prop_assert_eq!(line.type_name, type_name);
        prop_assert_eq!(line.extra, extra.as_bytes());
        prop_assert_eq!(line.payload, payload.as_bytes());
    }

    #[test]
    fn no_bytes_are_read_beyond_the_message(bytes: Vec<u8>) {
        if let Ok(line) = ClusterLine::read(&bytes) {
            let parts = line.type_name.len() + line.extra.len() + line.payload.len();
            prop_assert_eq!(line.body + parts, bytes.len());
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_one_field(at: usize, byte: u8) {
        let bytes = message(&format!("SH1 G {NODE} 12 3 0 6 2 c2ln"), "Object{}{\"a\":1}");
        let mut changed = bytes.clone();
        let at = at % bytes.len();
        changed[at] = byte;
        if let Ok(line) = ClusterLine::read(&changed) {
            let parts = line.type_name.len() + line.extra.len() + line.payload.len();
            prop_assert_eq!(line.body + parts, bytes.len());
        }
    }
}
