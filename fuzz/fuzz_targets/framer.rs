//! Any chunks of a stream give the frames of the whole stream, and the same refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockhop_native::protocol::{Framer, Terminator};

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    terminator: &'a str,
    max_frame: u16,
    /// The sizes of the chunks, used repeatedly. Bytes beyond them come one by one.
    sizes: Vec<u8>,
    /// Replaces every `0xFF`, which occurs in no terminator, by the terminator.
    expand: bool,
    stream: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Ok(terminator) = Terminator::new(input.terminator) else {
        return;
    };
    let max_frame = usize::from(input.max_frame);
    let mut stream = Vec::new();
    for &byte in input.stream {
        if input.expand && byte == 0xFF {
            stream.extend_from_slice(terminator.as_bytes());
        } else {
            stream.push(byte);
        }
    }

    let mut framer = Framer::new(terminator.clone(), max_frame);
    let mut frames = Vec::new();
    let mut pushed = 0;
    let mut sizes = input
        .sizes
        .iter()
        .map(|&size| usize::from(size))
        .chain([1])
        .cycle();
    let mut outcome = Ok(());
    while pushed < stream.len() && outcome.is_ok() {
        let end = stream.len().min(pushed + sizes.next().unwrap());
        outcome = framer.push(&stream[pushed..end], &mut |frame| {
            frames.push(frame.into_vec())
        });
        pushed = end;
    }

    // The model for the pushed bytes: cut at the leftmost terminator, continue after it.
    let terminator = terminator.as_bytes();
    let mut expected = Vec::new();
    let mut rest = &stream[..pushed];
    while let Some(at) = rest
        .windows(terminator.len())
        .position(|bytes| bytes == terminator)
    {
        expected.push(&rest[..at]);
        rest = &rest[at + terminator.len()..];
    }
    let partial = (0..terminator.len())
        .rev()
        .find(|&n| rest.ends_with(&terminator[..n]))
        .unwrap();
    let accepted = expected
        .iter()
        .take_while(|frame| frame.len() <= max_frame)
        .count();
    let refused = accepted < expected.len() || rest.len() - partial > max_frame;

    assert_eq!(frames, expected[..accepted]);
    assert_eq!(outcome.is_err(), refused);
    match outcome {
        Ok(()) => assert_eq!(framer.buffered(), rest.len()),
        Err(fault) => {
            assert_eq!(fault.limit, max_frame);
            assert!(fault.seen > max_frame);
            assert_eq!(framer.buffered(), 0);
            assert_eq!(
                framer.push(terminator, &mut |_| panic!("a frame after the fault")),
                Err(fault)
            );
        }
    }
});
