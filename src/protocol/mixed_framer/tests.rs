use super::{BinaryHeader, FAREWELL, Frame, Incoming, MixedFramer, SWITCH};
use crate::protocol::Terminator;

const LIMIT: usize = 1 << 20;

fn framer(limit: usize) -> MixedFramer {
    let mut framer = MixedFramer::new(Terminator::new("\r\n").unwrap(), limit);
    framer.offer_binary();
    framer
}

fn binary(kind: u8, text: &str, data: &[u8]) -> Vec<u8> {
    let header = BinaryHeader {
        kind,
        text: u32::try_from(text.len()).unwrap(),
        data: u32::try_from(data.len()).unwrap(),
    };
    [&header.to_bytes()[..], text.as_bytes(), data].concat()
}

/// The frames of `stream`, text frames with a `T` before them and binary frames with a `B`.
fn frames(framer: &mut MixedFramer, chunks: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for chunk in chunks {
        framer
            .push(&chunk, &mut |incoming| {
                frames.push(match incoming {
                    Incoming::Text(frame) => [b"T", frame.as_bytes()].concat(),
                    Incoming::Binary(frame) => [b"B", frame.as_bytes()].concat(),
                    Incoming::Bytes(bytes) => [b"R", bytes].concat(),
                });
            })
            .unwrap();
    }
    frames
}

fn stream() -> (Vec<u8>, Vec<Vec<u8>>) {
    let parts: Vec<(Vec<u8>, Option<Vec<u8>>)> = vec![
        (b"{}\r\n".to_vec(), Some(b"T{}".to_vec())),
        // Before the announcement, the mark is a byte of text.
        (b"\xff\x01\r\n".to_vec(), Some(b"T\xff\x01".to_vec())),
        ([SWITCH, b"\r\n"].concat(), None),
        (
            binary(1, "text", b"\r\n\xff\n"),
            Some(binary(1, "text", b"\r\n\xff\n")),
        ),
        (b"{\"a\":1}\r\n".to_vec(), Some(b"T{\"a\":1}".to_vec())),
        (binary(200, "", b""), Some(binary(200, "", b""))),
        (
            binary(2, "\u{1f600}", &[0xff; 30]),
            Some(binary(2, "\u{1f600}", &[0xff; 30])),
        ),
        (b"\r\n".to_vec(), Some(b"T".to_vec())),
    ];
    let bytes = parts.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let expected = parts
        .into_iter()
        .filter_map(|(bytes, frame)| {
            let is_binary = frame.as_ref().is_some_and(|frame| *frame == bytes);
            frame.map(|frame| {
                if is_binary {
                    [b"B", frame.as_slice()].concat()
                } else {
                    frame
                }
            })
        })
        .collect();
    (bytes, expected)
}

#[test]
fn frames_of_both_kinds_are_found_however_the_stream_is_divided() {
    let (stream, expected) = stream();
    for size in 1..=stream.len() {
        let chunks = stream.chunks(size).map(<[u8]>::to_vec);
        assert_eq!(
            frames(&mut framer(LIMIT), chunks),
            expected,
            "chunks of {size}"
        );
    }
    for cut in 0..=stream.len() {
        let chunks = [stream[..cut].to_vec(), stream[cut..].to_vec()];
        assert_eq!(frames(&mut framer(LIMIT), chunks.into_iter()), expected);
    }
}

#[test]
fn without_an_offer_everything_is_text() {
    let mut text_only = MixedFramer::new(Terminator::new("\n").unwrap(), LIMIT);
    let stream = [SWITCH, b"\n", &binary(1, "a\nb", b"c"), b"\n"].concat();
    let found = frames(&mut text_only, std::iter::once(stream));
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|frame| frame[0] == b'T'));
}

/// The items received from `stream`; consecutive bytes are joined.
fn received(framer: &mut MixedFramer, stream: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut joined: Vec<Vec<u8>> = Vec::new();
    for entry in frames(framer, stream.chunks(size).map(<[u8]>::to_vec)) {
        match joined.last_mut() {
            Some(last) if entry[0] == b'R' && last[0] == b'R' => last.extend(&entry[1..]),
            _ => joined.push(entry),
        }
    }
    joined
}

#[test]
fn after_a_farewell_bytes_are_passed_on_as_they_are_if_they_are_expected() {
    let other = b"\xff\x01\r\n\xff";
    let message = binary(1, "text", b"\xff");
    let farewell = [b"T", FAREWELL].concat();
    for begun in [&b""[..], b"begun"] {
        let stream = [SWITCH, b"\r\n", &message, begun, FAREWELL, b"\r\n", other].concat();
        for size in 1..=stream.len() {
            let mut framer = framer(LIMIT);
            assert!(framer.expect_bytes().is_empty());
            let expected = if begun.is_empty() {
                vec![
                    [b"B", &message[..]].concat(),
                    farewell.clone(),
                    [b"R", &other[..]].concat(),
                ]
            } else {
                vec![[b"B", &message[..]].concat(), [b"R", begun, other].concat()]
            };
            assert_eq!(
                received(&mut framer, &stream, size),
                expected,
                "chunks of {size}"
            );
        }
    }
}

#[test]
fn after_a_farewell_there_are_text_frames_alone_until_bytes_are_expected() {
    let text = [b"T", &b"\xff\x01"[..]].concat();
    let farewell = [b"T", FAREWELL].concat();
    let stream = [SWITCH, b"\r\n", FAREWELL, b"\r\n\xff\x01\r\n\xff"].concat();
    for size in 1..=stream.len() {
        let mut framer = framer(LIMIT);
        let expected = vec![farewell.clone(), text.clone()];
        assert_eq!(received(&mut framer, &stream, size), expected);
        assert_eq!(framer.expect_bytes(), b"\xff");
        assert_eq!(
            received(&mut framer, b"a\r\nb", 1),
            vec![b"Ra\r\nb".to_vec()]
        );
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_by_its_header() {
    let mut framer = framer(100);
    let announced = [SWITCH, b"\r\n"].concat();
    framer.push(&announced, &mut |_| {}).unwrap();
    let frame = binary(1, &"x".repeat(60), &[0; 41]);
    let error = framer
        .push(&frame[..BinaryHeader::LENGTH], &mut |_| {})
        .unwrap_err();
    assert_eq!((error.limit, error.seen), (100, 101));
    assert_eq!(framer.push(b"{}\r\n", &mut |_| {}), Err(error));
    framer.clear();
    framer
        .push(&binary(1, &"x".repeat(60), &[0; 40]), &mut |_| {})
        .unwrap();
}

#[test]
fn the_memory_follows_the_bytes_that_have_arrived() {
    let mut framer = framer(usize::MAX);
    framer
        .push(&[SWITCH, b"\r\n"].concat(), &mut |_| {})
        .unwrap();
    let header = BinaryHeader {
        kind: 1,
        text: u32::MAX,
        data: u32::MAX,
    };
    framer.push(&header.to_bytes(), &mut |_| {}).unwrap();
    framer.push(&[b'x'; 1000], &mut |_| {}).unwrap();
    assert!(framer.binary.capacity() < 4096);
}

#[test]
fn a_large_frame_is_passed_on_with_its_buffer_and_leaves_no_memory() {
    let mut framer = framer(LIMIT);
    framer
        .push(&[SWITCH, b"\r\n"].concat(), &mut |_| {})
        .unwrap();
    let frame = binary(1, &"x".repeat(200_000), b"data");
    let mut owned = 0;
    for chunk in frame.chunks(1000) {
        framer
            .push(chunk, &mut |incoming| {
                owned += usize::from(matches!(incoming, Incoming::Binary(Frame::Owned(_))));
            })
            .unwrap();
    }
    assert_eq!((owned, framer.binary.capacity()), (1, 0));
}
