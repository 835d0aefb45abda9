//! Options, as JavaScript has checked them.

use crate::net;
use crate::wire::Terminator;
use napi::bindgen_prelude::{Error, Result, Status};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// What `lib/internal/options/options.js` makes of the program's options for the connections of a client or server.
#[napi(object)]
pub struct Settings {
    /// Ends a received frame.
    pub receive_terminator: String,
    /// Ends a sent frame.
    pub transmit_terminator: String,
    /// Bytes.
    pub max_message_size: f64,
    /// `peer_type: "json"`.
    pub bare: bool,
    /// Give pings and pongs to JavaScript.
    pub show_control: bool,
    /// Bytes.
    pub receive_high_water_mark: f64,
    /// Bytes.
    pub send_high_water_mark: f64,
    /// `wait`, `drop` or `disconnect`.
    pub slow_consumer: String,
}

pub(super) fn terminator(text: &str) -> Result<Terminator> {
    Terminator::new(text).map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}

impl Settings {
    pub(super) fn into_net(self) -> Result<Arc<net::Settings>> {
        Ok(Arc::new(net::Settings {
            receive_terminator: terminator(&self.receive_terminator)?,
            transmit_terminator: terminator(&self.transmit_terminator)?,
            max_message_size: size(self.max_message_size),
            bare: self.bare,
            show_control: self.show_control,
            receive_high_water_mark: size(self.receive_high_water_mark),
            send_high_water_mark: size(self.send_high_water_mark),
            slow_consumer: match self.slow_consumer.as_str() {
                "drop" => net::SlowConsumer::Drop,
                "disconnect" => net::SlowConsumer::Disconnect,
                _ => net::SlowConsumer::Wait,
            },
        }))
    }
}

/// A size in bytes; `Infinity` is no limit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is meant
pub(super) fn size(bytes: f64) -> usize {
    bytes as usize
}

/// An id that JavaScript gave; it counts up to 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn id_of(number: f64) -> u64 {
    number as u64
}

/// A time in milliseconds; nothing, zero or less is none.
pub(super) fn interval(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX))
}
