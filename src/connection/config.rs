//! The options of connections.

use crate::protocol::Terminator;

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

/// The options of a client or server for its connections.
#[derive(Debug, Clone)]
pub struct Config {
    /// Ends a received frame.
    pub receive_terminator: Terminator,
    /// Ends a sent frame.
    pub transmit_terminator: Terminator,
    /// The longest frame accepted, in bytes without its terminator.
    pub max_message_size: usize,
    /// Frames are bare values without an envelope (`peer_type: "json"`).
    pub bare: bool,
    /// Pings and pongs are handed over to JavaScript as frames (`debug: true` shows them there).
    pub show_control: bool,
    /// Bytes of a connection that may wait for JavaScript before reading stops.
    pub receive_high_water_mark: usize,
    /// Bytes that may wait for a peer before `slow_consumer` applies.
    pub send_high_water_mark: usize,
    /// The policy that applies then.
    pub slow_consumer: SlowConsumer,
}

#[cfg(test)]
impl Config {
    /// The defaults of the package, for tests.
    pub(crate) fn for_tests() -> Self {
        let newline = Terminator::new("\n").unwrap();
        Self {
            receive_terminator: newline.clone(),
            transmit_terminator: newline,
            max_message_size: 128 << 20,
            bare: false,
            show_control: false,
            receive_high_water_mark: 1 << 20,
            send_high_water_mark: 16 << 20,
            slow_consumer: SlowConsumer::Wait,
        }
    }
}
