//! A connection between a real socket and an event queue, compared with a model. The peer writes
//! anything, in any pieces, with pauses, ends and local calls in between. The delivered frames must
//! be the written ones, in order, each once. Accepted messages must arrive in order, each once. The
//! end is reported once, after everything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use socket2::{Domain, Socket, Type};
use sockhop_native::connection::{
    Config, Connection, Environment, Event, SlowConsumer, WriteOutcome,
};
use sockhop_native::events::poller::Poller;
use sockhop_native::protocol::{Control, parse_control};
use sockhop_native::transport::Stream;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);
/// And at least this many checks, because the process may have been stopped in between.
const LOOKS: usize = 20_000;
/// `MSG_NOSIGNAL`, because `SIGPIPE` ends a process of libFuzzer. On other systems the caller must
/// ignore that signal.
const NO_SIGNAL: i32 = if cfg!(target_os = "linux") { 0x4000 } else { 0 };
/// Longer than any message here.
const NO_LIMIT: usize = 1 << 20;

#[derive(arbitrary::Arbitrary, Debug)]
enum Step<'a> {
    /// The peer writes these bytes as they are.
    Bytes(&'a [u8]),
    /// The peer writes frames: their number and their length.
    Frames(u8, u8),
    /// The peer pings.
    Ping,
    /// The peer reads up to this many bytes.
    Read(u16),
    /// The peer ends its direction, or closes the connection.
    Shutdown,
    Close,
    /// The program sends a message with this many bytes.
    Send(u16),
    Pause,
    Resume,
    Raw(bool),
    /// The program ends its direction, closes, or resets the connection.
    End,
    LocalClose,
    Reset,
    /// JavaScript takes all events.
    Take,
    /// The runtime gets some time.
    Wait,
}

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    small_marks: bool,
    small_messages: bool,
    drop: bool,
    paused: bool,
    /// Whether there is an event loop, so that the two readers take turns.
    event_loop: bool,
    steps: Vec<Step<'a>>,
}

/// The reported events.
#[derive(Default)]
struct Told {
    frames: Vec<Vec<u8>>,
    raw: Vec<u8>,
    too_large: usize,
    ends: usize,
    flushed: u64,
}

impl Told {
    fn take(&mut self, environment: &Environment) {
        while let Some(batch) = environment.take() {
            let mut text = batch.text.as_slice();
            let mut lengths = batch.lengths.iter();
            for event in &batch.events {
                assert!(
                    self.ends == 0 || matches!(event, Event::Flushed { .. }),
                    "{event:?} after the end"
                );
                match event {
                    Event::Frames { count, .. } => {
                        for length in lengths.by_ref().take(*count as usize) {
                            let (frame, after) = text.split_at(length.bytes());
                            self.frames.push(frame.to_vec());
                            text = after;
                        }
                    }
                    Event::LargeFrame { bytes, .. } => self.frames.push(bytes.clone()),
                    Event::Raw { bytes, .. } => self.raw.extend_from_slice(bytes),
                    Event::TooLarge { .. } => self.too_large += 1,
                    Event::Ended(_) | Event::Failed { .. } => self.ends += 1,
                    Event::Flushed { position, .. } => self.flushed = self.flushed.max(*position),
                    other => panic!("unexpected event {other:?}"),
                }
            }
            assert!(text.is_empty() && lengths.next().is_none());
            environment.queue().recycle(batch);
        }
    }
}

/// The peer: a plain socket.
struct Peer {
    socket: Option<Socket>,
    may_write: bool,
    written: Vec<u8>,
    read: Vec<u8>,
    at_end: bool,
}

impl Peer {
    fn write(&mut self, bytes: &[u8]) {
        let Some(socket) = self.socket.as_mut().filter(|_| self.may_write) else {
            return;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            match socket.send_with_flags(rest, NO_SIGNAL) {
                Ok(count) => {
                    self.written.extend_from_slice(&rest[..count]);
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The buffer is full, or the other end is closed. The remaining bytes were not
                // written.
                Err(_) => return,
            }
        }
    }

    fn read(&mut self, limit: usize) {
        let Some(socket) = self.socket.as_mut() else {
            return;
        };
        let mut buffer = vec![0; limit.max(1)];
        match socket.read(&mut buffer) {
            Ok(0) => self.at_end = true,
            Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.at_end = true,
        }
    }

    /// The messages that arrived, without pongs, and whether the last one is whole.
    fn messages(&self) -> (Vec<&[u8]>, bool) {
        let mut lines: Vec<_> = self.read.split(|byte| *byte == b'\n').collect();
        let whole = lines.pop().is_none_or(<[u8]>::is_empty);
        lines.retain(|line| !matches!(parse_control(line), Some(Control::Pong(_))));
        (lines, whole)
    }
}

/// The frames that the program must see, up to the first one that is too long.
fn frames(stream: &[u8], limit: usize) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Vec::new();
    let mut lines = stream.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        if line.len() > limit {
            return (frames, true);
        }
        if lines.peek().is_some() && parse_control(line).is_none() {
            frames.push(line.to_vec());
        }
    }
    (frames, false)
}

fuzz_target!(|input: Input<'_>| {
    let limit = if input.small_messages { 200 } else { NO_LIMIT };
    let config = Config {
        max_message_size: limit,
        receive_high_water_mark: if input.small_marks { 100 } else { 1 << 20 },
        send_high_water_mark: if input.small_marks { 5_000 } else { 16 << 20 },
        slow_consumer: if input.drop {
            SlowConsumer::Drop
        } else {
            SlowConsumer::Wait
        },
        ..Config::for_tests()
    };
    let poller = input.event_loop.then(|| Poller::new().unwrap());
    // The event loop's turn when its descriptor is readable, and once more when it is not.
    let turn = || {
        if let Some(poller) = &poller {
            poller.turn();
        }
    };
    let environment = Environment::new(Box::new(|| {}), poller.clone());
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
    far.set_nonblocking(true).unwrap();
    let connection = Connection::over(Stream::new(near).unwrap(), config, &environment);
    connection.start(input.paused);

    let mut told = Told::default();
    let mut peer = Peer {
        socket: Some(far),
        may_write: true,
        written: Vec::new(),
        read: Vec::new(),
        at_end: false,
    };
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut waits_for = 0;
    let mut raw = false;
    // A connection that broke while it was paused is reported at once, as with Node's sockets.
    let mut paused = input.paused;
    let mut excused = false;
    let mut ended = false;
    let mut closed = false;
    let mut peer_closed = false;
    let mut pings = 0;

    for (number, step) in input.steps.iter().enumerate() {
        match step {
            Step::Bytes(bytes) => peer.write(bytes),
            Step::Frames(count, size) => {
                let frame = [
                    vec![b'a' + (number % 26) as u8; usize::from(*size)],
                    vec![b'\n'],
                ]
                .concat();
                peer.write(&frame.repeat(usize::from(*count)));
            }
            Step::Ping => {
                pings += 1;
                peer.write(
                    format!("{{\"type\":\"SockhopPing\",\"data\":{{\"_id\":\"{pings}\"}}}}\n")
                        .as_bytes(),
                );
            }
            Step::Read(count) => peer.read(usize::from(*count)),
            Step::Shutdown => {
                if let Some(socket) = &peer.socket {
                    let _ = socket.shutdown(std::net::Shutdown::Write);
                }
                peer.may_write = false;
            }
            Step::Close => {
                peer.socket = None;
                peer_closed = true;
            }
            Step::Send(size) => {
                let mut message = format!("{number}:").into_bytes();
                message.resize(message.len() + usize::from(*size), b'.');
                let line = [message.as_slice(), b"\n"].concat();
                match connection.write(&line) {
                    WriteOutcome::Written => sent.push(message),
                    WriteOutcome::Waiting(position) => {
                        assert!(position > waits_for);
                        waits_for = position;
                        sent.push(message);
                    }
                    WriteOutcome::Refused => assert!(input.drop && input.small_marks),
                    WriteOutcome::Closed => {
                        assert!(ended || closed || peer_closed);
                        excused |= paused;
                    }
                }
            }
            Step::Pause => {
                connection.pause();
                paused = true;
            }
            Step::Resume => connection.resume(),
            Step::Raw(on) => {
                connection.set_raw(*on);
                raw |= on;
            }
            Step::End => {
                connection.end();
                ended = true;
            }
            Step::LocalClose => {
                connection.close();
                closed = true;
            }
            Step::Reset => {
                connection.reset();
                closed = true;
            }
            Step::Take => {
                turn();
                told.take(&environment);
            }
            Step::Wait => std::thread::sleep(Duration::from_micros(200)),
        }
    }

    // Nothing is paused any more, so everything must be delivered.
    connection.resume();
    let (expected, too_large) = frames(&peer.written, limit);
    let began = Instant::now();
    let mut looks = 0;
    loop {
        looks += 1;
        turn();
        told.take(&environment);
        for _ in 0..16 {
            peer.read(1 << 16);
        }
        excused |= paused && peer_closed;
        let received = closed
            || (excused && told.ends > 0)
            || (told.frames.len() >= expected.len() && (!too_large || told.too_large > 0));
        let arrived = closed || peer_closed || peer.messages().0.len() >= sent.len();
        let over = closed || too_large || (peer.may_write && !peer_closed) || told.ends > 0;
        if received && arrived && over {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE || looks < LOOKS,
            "{} of {} frames, {} of {} messages, {} ends, {too_large} {closed} {peer_closed}",
            told.frames.len(),
            expected.len(),
            peer.messages().0.len(),
            sent.len(),
            told.ends,
        );
        std::thread::sleep(Duration::from_micros(50));
    }

    assert!(told.too_large <= usize::from(too_large));
    assert!(told.ends <= 1);
    if closed || excused {
        assert!(expected.starts_with(&told.frames));
    } else {
        assert_eq!(told.frames, expected);
    }
    let (messages, _) = peer.messages();
    if closed || peer_closed {
        assert!(
            sent.iter()
                .map(Vec::as_slice)
                .zip(&messages)
                .all(|(sent, got)| sent == *got)
        );
        assert!(messages.len() <= sent.len());
    } else {
        assert!(sent.iter().map(Vec::as_slice).eq(messages.iter().copied()));
    }
    if raw && !closed && told.too_large == 0 {
        assert!(told.raw.len() <= peer.written.len());
    }
    connection.close();
    connection.close();
    let Told { frames, .. } = std::mem::take(&mut told);
    told.take(&environment);
    // After closing nothing is reported, and nothing twice.
    assert!(frames.len() + told.frames.len() <= expected.len());
});
