//! The options of connections.

use crate::protocol::Terminator;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The policy for a peer that does not read fast enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowConsumer {
    /// The message waits, and so does its promise.
    #[default]
    Wait,
    /// The message is refused.
    Drop,
    /// The peer is disconnected.
    Disconnect,
}

/// How often the connections of a client or server reached a high-water mark. Connections share one
/// object, so that an idle connection has no counters of its own.
#[derive(Debug, Default)]
pub struct Marks {
    receive: AtomicU64,
    send: AtomicU64,
}

impl Marks {
    /// A connection stopped reading, because JavaScript has not taken earlier bytes.
    pub(super) fn count_receive(&self) {
        self.receive.fetch_add(1, Ordering::Relaxed);
    }

    /// The bytes that wait for a peer have reached the mark.
    pub(super) fn count_send(&self) {
        self.send.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the receive mark was reached.
    pub fn receive(&self) -> u64 {
        self.receive.load(Ordering::Relaxed)
    }

    /// How often the send mark was reached.
    pub fn send(&self) -> u64 {
        self.send.load(Ordering::Relaxed)
    }
}

/// The options of a client or server for its connections.
#[derive(Debug, Clone)]
pub struct Config {
    /// Ends a received frame.
    pub receive_terminator: Terminator,
    /// Ends a sent frame.
    pub transmit_terminator: Terminator,
    /// The longest frame accepted, in bytes without its terminator.
    pub max_message_size: usize,
    /// The connection continues when the peer has ended its direction.
    pub allow_half_open: bool,
    /// Frames are JSON without an envelope (`peer_type: "json"`).
    pub json_mode: bool,
    /// Pings and pongs are handed over to JavaScript as frames (`debug: true` shows them there).
    pub show_control: bool,
    /// Bytes of a connection that may wait for JavaScript before reading stops.
    pub receive_high_water_mark: usize,
    /// Bytes that may wait for a peer before `slow_consumer` applies.
    pub send_high_water_mark: usize,
    /// The policy that applies at `send_high_water_mark`.
    pub slow_consumer: SlowConsumer,
    /// Counts how often the marks are reached.
    pub marks: Arc<Marks>,
}

#[cfg(any(test, fuzzing))]
impl Config {
    /// The defaults of the package, for tests and fuzz targets.
    pub fn for_tests() -> Self {
        let newline = Terminator::new("\n").unwrap();
        Self {
            receive_terminator: newline.clone(),
            transmit_terminator: newline,
            max_message_size: 128 << 20,
            allow_half_open: false,
            json_mode: false,
            show_control: false,
            receive_high_water_mark: 1 << 20,
            send_high_water_mark: 16 << 20,
            slow_consumer: SlowConsumer::Wait,
            marks: Arc::default(),
        }
    }
}
