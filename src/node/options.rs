//! Options, as JavaScript has checked them.

use super::values::{number, size};
use crate::connection;
use crate::protocol::Terminator;
use napi::bindgen_prelude::{Error, Result, Status};
use napi_derive::napi;
use std::sync::Arc;

/// The options of the connections of a client or server.
#[napi(object)]
pub struct ConnectionOptions {
    /// Terminator of received frames.
    pub receive_terminator: String,
    /// Terminator of sent frames.
    pub transmit_terminator: String,
    /// Bytes.
    pub max_message_size: f64,
    /// Whether a connection continues when the peer has ended its direction.
    pub allow_half_open: bool,
    /// `peer_type: "json"`.
    pub json_mode: bool,
    /// Pass pings and pongs to JavaScript.
    pub show_control: bool,
    /// Bytes.
    pub receive_high_water_mark: f64,
    /// Bytes.
    pub send_high_water_mark: f64,
    /// `wait`, `drop` or `disconnect`.
    pub slow_consumer: String,
}

/// How often the connections of a client or server reached a high-water mark.
#[napi(object)]
pub struct Marks {
    /// `receive_high_water_mark`, or the mark that all connections share.
    pub receive: f64,
    /// `send_high_water_mark`.
    pub send: f64,
}

impl From<&connection::Marks> for Marks {
    fn from(marks: &connection::Marks) -> Self {
        Self {
            receive: number(marks.receive()),
            send: number(marks.send()),
        }
    }
}

pub(super) fn terminator(text: &str) -> Result<Terminator> {
    Terminator::new(text).map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}

impl ConnectionOptions {
    pub(super) fn into_config(self) -> Result<Arc<connection::Config>> {
        Ok(Arc::new(connection::Config {
            receive_terminator: terminator(&self.receive_terminator)?,
            transmit_terminator: terminator(&self.transmit_terminator)?,
            max_message_size: size(self.max_message_size),
            allow_half_open: self.allow_half_open,
            json_mode: self.json_mode,
            show_control: self.show_control,
            receive_high_water_mark: size(self.receive_high_water_mark),
            send_high_water_mark: size(self.send_high_water_mark),
            slow_consumer: match self.slow_consumer.as_str() {
                "drop" => connection::SlowConsumer::Drop,
                "disconnect" => connection::SlowConsumer::Disconnect,
                _ => connection::SlowConsumer::Wait,
            },
            marks: Arc::default(),
        }))
    }
}
