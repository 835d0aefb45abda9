// The subjects of these tests are `framer` and `frames`.
#![allow(clippy::similar_names)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A limit that no frame of these tests reaches.
const ANY: usize = 128 * 1024 * 1024;

const TERMINATORS: [&str; 5] = ["\n", "\r\n", "é", "\n.\n", "aab"];

/// The model: find the leftmost terminator, cut, continue after it. Returns the complete frames and
/// the rest.
fn model<'a>(stream: &'a [u8], terminator: &str) -> (Vec<&'a [u8]>, &'a [u8]) {
    let terminator = terminator.as_bytes();
    let mut frames = Vec::new();
    let mut rest = stream;
    while let Some(at) = rest
        .windows(terminator.len())
        .position(|bytes| bytes == terminator)
    {
        frames.push(&rest[..at]);
        rest = &rest[at + terminator.len()..];
    }
    (frames, rest)
}

/// The number of bytes of an unfinished frame that are payload, regardless of the following bytes.
fn certain_payload(rest: &[u8], terminator: &str) -> usize {
    let terminator = terminator.as_bytes();
    let partial = (0..terminator.len())
        .rev()
        .find(|&n| rest.ends_with(&terminator[..n]));
    rest.len() - partial.unwrap()
}

fn framer(terminator: &str, max_frame: usize) -> Framer {
    Framer::new(Terminator::new(terminator).unwrap(), max_frame)
}

/// Pushes the chunks, none of which may be refused, and returns the frames.
fn frames_of<'a>(framer: &mut Framer, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for chunk in chunks {
        framer
            .push(chunk, &mut |frame| frames.push(frame.into_vec()))
            .unwrap();
    }
    frames
}

/// The work that a stream may cost: one look at each byte, and a second one at the last bytes of a
/// chunk.
fn most_work(stream: usize, pushes: usize, width: usize) -> usize {
    stream + stream.min(pushes * (width - 1))
}

/// The captured frames, each followed by the terminator.
fn fixture(terminator: &str) -> Vec<u8> {
    let frames = include_str!("../fixtures/frames.jsonl");
    assert!(frames.lines().count() >= 18);
    frames
        .lines()
        .flat_map(|frame| [frame, terminator])
        .collect::<String>()
        .into_bytes()
}

#[test]
fn the_captured_frames_come_out_as_they_went_in() {
    for terminator in TERMINATORS {
        let stream = fixture(terminator);
        let mut framer = framer(terminator, ANY);
        let frames = frames_of(&mut framer, [&*stream]);
        let captured: Vec<_> = include_bytes!("../fixtures/frames.jsonl")
            .trim_ascii_end()
            .split(|&b| b == b'\n')
            .collect();
        assert_eq!(frames, captured, "{terminator:?}");
    }
}

#[test]
fn every_two_way_split_of_the_captured_stream_gives_the_same_frames() {
    for terminator in TERMINATORS {
        let stream = fixture(terminator);
        let (expected, _) = model(&stream, terminator);
        for at in 0..=stream.len() {
            let mut framer = framer(terminator, ANY);
            let (head, tail) = stream.split_at(at);
            assert_eq!(
                frames_of(&mut framer, [head, tail]),
                expected,
                "{terminator:?} at {at}"
            );
            assert_eq!(framer.buffered(), 0);
        }
    }
}

#[test]
fn every_chunk_size_gives_the_same_frames() {
    for terminator in TERMINATORS {
        let stream = fixture(terminator);
        let (expected, _) = model(&stream, terminator);
        for size in 1..=stream.len() {
            let mut framer = framer(terminator, ANY);
            let frames = frames_of(&mut framer, stream.chunks(size));
            assert_eq!(frames, expected, "{terminator:?} in chunks of {size}");
            assert_eq!(framer.buffered(), 0);
        }
    }
}

#[test]
fn every_split_of_every_captured_frame_gives_that_frame() {
    for terminator in TERMINATORS {
        for frame in include_str!("../fixtures/frames.jsonl").lines() {
            let stream = [frame, terminator].concat().into_bytes();
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                    let mut framer = framer(terminator, frame.len());
                    assert_eq!(frames_of(&mut framer, chunks), [frame.as_bytes()]);
                }
            }
        }
    }
}

/// Terminators that overlap themselves, in streams that consist of nothing else.
#[test]
fn every_chunking_of_every_short_stream_gives_the_same_frames() {
    const LENGTH: usize = 9;
    for terminator in ["a", "aa", "ab", "aab", "aba", "abab", "aabaab"] {
        for bits in 0..1 << LENGTH {
            let stream: Vec<u8> = (0..LENGTH)
                .map(|at| if bits >> at & 1 == 0 { b'a' } else { b'b' })
                .collect();
            let (expected, rest) = model(&stream, terminator);
            for cuts in 0..1 << (LENGTH - 1) {
                let mut framer = framer(terminator, LENGTH);
                let mut frames = Vec::new();
                let mut start = 0;
                for end in 1..=LENGTH {
                    if end == LENGTH || cuts >> (end - 1) & 1 == 1 {
                        frames.extend(frames_of(&mut framer, [&stream[start..end]]));
                        start = end;
                    }
                }
                let stream = stream.escape_ascii();
                assert_eq!(frames, expected, "{terminator} in {stream}, cuts {cuts:b}");
                assert_eq!(framer.buffered(), rest.len(), "{terminator} in {stream}");
            }
        }
    }
}

#[test]
fn empty_frames_are_frames() {
    for terminator in TERMINATORS {
        let stream = terminator.repeat(5);
        for size in 1..=stream.len() {
            let mut framer = framer(terminator, 0);
            let frames = frames_of(&mut framer, stream.as_bytes().chunks(size));
            assert_eq!(
                frames,
                vec![Vec::<u8>::new(); 5],
                "{terminator:?} in chunks of {size}"
            );
        }
    }
}

#[test]
fn an_empty_chunk_changes_nothing() {
    let mut framer = framer("\r\n", 8);
    assert!(frames_of(&mut framer, [&b""[..]]).is_empty());
    assert_eq!(frames_of(&mut framer, [&b"ab\r"[..], b"", b"\n"]), [b"ab"]);
}

#[test]
fn frames_within_a_chunk_are_slices_of_it() {
    let chunk = b"end of one\nwhole\n\nanother\nbegin".to_vec();
    let mut framer = framer("\n", 100);
    frames_of(&mut framer, [&b"begin of one, "[..]]);
    let mut lent = 0;
    framer
        .push(&chunk, &mut |frame| {
            let Frame::Borrowed(bytes) = frame else {
                panic!("a small frame was given away")
            };
            lent += usize::from(chunk.as_ptr_range().contains(&bytes.as_ptr()));
        })
        .unwrap();
    assert_eq!(lent, 3, "only the first of four frames straddles chunks");
}

#[test]
fn a_large_gathered_frame_is_given_away_and_a_small_one_lent() {
    for (length, given) in [(LARGE - 1, false), (LARGE, true), (3 * LARGE, true)] {
        let mut stream = vec![b'x'; length];
        stream.push(b'\n');
        for cut in [1, length / 2, length] {
            let mut framer = framer("\n", length);
            let mut seen = Vec::new();
            for chunk in [&stream[..cut], &stream[cut..]] {
                framer
                    .push(chunk, &mut |frame| {
                        seen.push((frame.as_bytes().len(), matches!(frame, Frame::Owned(_))));
                    })
                    .unwrap();
            }
            assert_eq!(seen, [(length, given)], "cut at {cut}");
        }
    }
}

#[test]
fn a_framer_holds_no_memory_between_frames() {
    let mut framer = framer("\r\n", ANY);
    assert_eq!(framer.pending.capacity(), 0);
    frames_of(&mut framer, [&b"half"[..], b" and half\r\nwhole\r\nquar"]);
    assert!(framer.pending.capacity() > 0);
    frames_of(&mut framer, [&b"ter\r\n"[..]]);
    assert_eq!(framer.pending.capacity(), 0);
}

#[test]
fn the_buffer_is_used_again_while_frames_straddle_unless_it_grew_large() {
    let mut framer = framer("\n", ANY);
    frames_of(&mut framer, [&[b'x'; 1000][..]]);
    let buffer = framer.pending.as_ptr();
    frames_of(&mut framer, [&b"\nnext"[..]]);
    assert_eq!(framer.pending.as_ptr(), buffer);

    // The buffer has doubled, so it is larger than a frame that is just small enough to be
    // borrowed.
    let part = vec![b'x'; LARGE / 3];
    frames_of(&mut framer, [&part[..], &part, &part[..100]]);
    assert!(framer.pending.len() < LARGE && framer.pending.capacity() > LARGE);
    frames_of(&mut framer, [&b"\nnext"[..]]);
    assert_eq!(framer.pending, b"next");
    assert!(framer.pending.capacity() <= LARGE);
}

#[test]
fn a_frame_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() {
    for terminator in TERMINATORS {
        let exact = ["x".repeat(20), terminator.into()].concat();
        let longer = ["x".repeat(21), terminator.into()].concat();
        for size in 1..=longer.len() {
            let mut accepting = framer(terminator, 20);
            assert_eq!(
                frames_of(&mut accepting, exact.as_bytes().chunks(size)),
                [[b'x'; 20]]
            );

            let mut refusing = framer(terminator, 20);
            let fault = longer
                .as_bytes()
                .chunks(size)
                .find_map(|chunk| refusing.push(chunk, &mut |_| panic!("handed over")).err())
                .unwrap();
            assert_eq!(fault.limit, 20);
            assert!(fault.seen >= 21);
        }
    }
}

#[test]
fn a_frame_without_end_is_refused_at_the_first_byte_too_many() {
    let mut framer = framer("\n.\n", 4);
    let none = &mut |_: Frame<'_>| panic!("handed over");
    for byte in b"1234\n." {
        // Had a newline followed, the payload would have had four bytes.
        framer.push(&[*byte], none).unwrap();
    }
    assert_eq!(
        framer.push(b"5", none),
        Err(FrameTooLarge { limit: 4, seen: 7 })
    );
}

#[test]
fn the_frames_before_a_fault_are_handed_over_and_nothing_after_it() {
    let mut framer = framer("\n", 3);
    let mut frames = Vec::new();
    let mut sink = |frame: Frame<'_>| frames.push(frame.into_vec());
    let fault = FrameTooLarge { limit: 3, seen: 4 };
    assert_eq!(framer.push(b"one\ntwo\nfour\nsix\n", &mut sink), Err(fault));
    assert_eq!(framer.push(b"six\n", &mut sink), Err(fault));
    assert_eq!(framer.push(b"", &mut sink), Err(fault));
    assert_eq!(framer.buffered(), 0);
    assert_eq!(framer.pending.capacity(), 0);
    framer.clear();
    assert_eq!(framer.push(b"new\n", &mut sink), Ok(()));
    assert_eq!(frames, [b"one", b"two", b"new"]);
    assert_eq!(
        fault.to_string(),
        "a frame of at least 4 bytes exceeds the limit of 3"
    );
}

#[test]
fn a_new_stream_does_not_see_the_end_of_the_old_one() {
    let mut framer = framer("\r\n", 100);
    frames_of(&mut framer, [&b"old\r"[..]]);
    assert_eq!(framer.buffered(), 4);
    framer.clear();
    assert_eq!(framer.buffered(), 0);
    assert_eq!(frames_of(&mut framer, [&b"\nnew\r\n"[..]]), [b"\nnew"]);
}

#[test]
fn the_largest_limit_is_no_limit() {
    let mut framer = framer("\r\n", usize::MAX);
    assert_eq!(frames_of(&mut framer, [&b"a"[..], b"b\r", b"\n"]), [b"ab"]);
}

#[test]
fn the_buffer_never_exceeds_the_limit_by_more_than_a_terminator() {
    const LIMIT: usize = 1000;
    for size in [1, 7, 64, 999] {
        let mut framer = framer("\n.\n", LIMIT);
        let stream = b"x".repeat(2 * LIMIT);
        let fault = stream.chunks(size).find_map(|chunk| {
            let outcome = framer.push(chunk, &mut |_| panic!("handed over"));
            assert!(
                framer.pending.capacity() <= LIMIT + 2,
                "{}",
                framer.pending.capacity()
            );
            outcome.err()
        });
        let fault = fault.unwrap();
        assert!((LIMIT + 1..=LIMIT + size).contains(&fault.seen), "{fault}");
    }
}

#[test]
fn the_work_is_linear_in_the_stream_whatever_the_chunking() {
    const LENGTH: usize = 1 << 20;
    let long = ["a".repeat(300), "b".into()].concat();
    for terminator in ["\n", "\r\n", "aab", &long] {
        // No frame ends. The second stream looks at every byte as if a frame were about to end.
        for filler in [b'x', b'a'] {
            let stream = vec![filler; LENGTH];
            for size in [1, 2, 100, 1000, 65_536, LENGTH] {
                let mut framer = framer(terminator, LENGTH);
                let frames = frames_of(&mut framer, stream.chunks(size));
                assert!(frames.is_empty());
                let most = most_work(LENGTH, LENGTH.div_ceil(size), terminator.len());
                assert!(
                    framer.scanned >= LENGTH,
                    "{} looks were counted",
                    framer.scanned
                );
                assert!(
                    framer.scanned <= most,
                    "{} looks, chunks of {size}",
                    framer.scanned
                );
            }
        }
    }
}

#[test]
fn a_panicking_sink_leaves_a_sound_framer() {
    let mut framer = framer("\n", 100);
    frames_of(&mut framer, [&b"first "[..]]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        framer.push(b"frame\n", &mut |_| {
            std::panic::resume_unwind(Box::new("the sink's own"))
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(frames_of(&mut framer, [&b"second\n"[..]]), [b"second"]);
}

/// A stream with many whole and partial terminators, and the sizes of its chunks.
fn streams() -> impl Strategy<Value = (String, Vec<u8>, Vec<usize>)> {
    let terminator = prop_oneof![
        "[ab]{1,6}",
        "[é\r\n.]{1,3}",
        Just("Weasel".to_string()),
        any::<String>().prop_filter("not empty", |text| !text.is_empty()),
    ];
    terminator.prop_flat_map(|terminator| {
        let bytes = terminator.clone().into_bytes();
        let pieces = prop_oneof![
            2 => Just(bytes.clone()),
            2 => (0..=bytes.len()).prop_map(move |end| bytes[..end].to_vec()),
            1 => vec(any::<u8>(), 0..10),
            1 => vec(prop_oneof![Just(b'a'), Just(b'b')], 0..10),
        ];
        let stream = vec(pieces, 0..20).prop_map(|pieces| pieces.concat());
        (Just(terminator), stream, vec(0_usize..12, 1..40))
    })
}

/// Cuts `stream` into chunks of the given sizes, over and over; size 0 is an empty chunk.
fn chunks<'a>(mut stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut sizes = sizes.iter().chain(&[1]).cycle();
    while !stream.is_empty() {
        let (chunk, rest) = stream.split_at(stream.len().min(*sizes.next().unwrap()));
        chunks.push(chunk);
        stream = rest;
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_of_any_stream_equals_the_model((terminator, stream, sizes) in streams()) {
        let (expected, rest) = model(&stream, &terminator);
        let mut framer = framer(&terminator, stream.len());
        let chunks = chunks(&stream, &sizes);
        let pushes = chunks.len();
        prop_assert_eq!(frames_of(&mut framer, chunks), expected);
        prop_assert_eq!(framer.buffered(), rest.len());
        prop_assert!(framer.scanned <= most_work(stream.len(), pushes, terminator.len()));
    }

    #[test]
    fn a_fault_is_reported_by_the_chunk_that_makes_it_certain(
        (terminator, stream, sizes) in streams(),
        limit in 0_usize..12,
    ) {
        let mut framer = framer(&terminator, limit);
        let mut frames = Vec::new();
        let mut pushed = 0;
        for chunk in chunks(&stream, &sizes) {
            let outcome = framer.push(chunk, &mut |frame| frames.push(frame.into_vec()));
            pushed += chunk.len();

            let (complete, rest) = model(&stream[..pushed], &terminator);
            let accepted = complete.iter().take_while(|frame| frame.len() <= limit).count();
            let fault = accepted < complete.len() || certain_payload(rest, &terminator) > limit;
            prop_assert_eq!(&frames, &complete[..accepted]);
            prop_assert_eq!(outcome.is_err(), fault);
            prop_assert!(framer.pending.capacity() < limit + terminator.len().max(8));
            if fault {
                break;
            }
        }
    }
}
