//! Lays out a batch of events for JavaScript. The text of all small frames is one string, and the
//! bytes of binary frames are in a shared array. Numbers are in the index (see `event_kinds`), and
//! everything else is in a list of extras.

use super::address::family;
use super::connection::Connection;
use super::errors::{
    ErrorCode, ErrorKind, connect_error_code, connection_error_code, handshake_error_code,
    system_error_code,
};
use super::event_kinds::{EventKind, IndexHeader};
use super::strings;
use super::values::{array, clear_exception, number, undefined, value};
use crate::connection::{self, Event};
use crate::events::batch::{EventBatch, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_BATCH_FRAMES};
use crate::events::error::HandshakeError;
use crate::events::event::LARGE_FRAME;
use crate::transport::tls::TlsError;
use napi::bindgen_prelude::{Buffer, Error, Null, Result, Status, ToNapiValue};
use napi::sys;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

/// Room for the largest batch: every frame takes two numbers at most, every event four.
pub(super) const INDEX_CAPACITY: usize =
    IndexHeader::Length as usize + 2 * MAX_BATCH_FRAMES + 4 * MAX_BATCH_EVENTS;

/// Room for the bytes of the largest batch.
pub(super) const BYTES_CAPACITY: usize = MAX_BATCH_BYTES + LARGE_FRAME;

const ENOMEM: i32 = 12;

/// How to report an event that cannot be laid out.
enum Fallback {
    /// A message that cannot become a value of JavaScript is reported as too large.
    TooLarge(Arc<connection::Connection>),
    /// A new connection that cannot be laid out is closed, and the attempt that made it fails.
    Close(Arc<connection::Connection>, Option<u64>),
    /// No peer can cause this.
    Skip,
}

impl Fallback {
    fn of(event: &Event, has_text: bool) -> Self {
        match event {
            Event::LargeFrame { connection, .. }
            | Event::LargeBinaryFrame { connection, .. }
            | Event::Raw { connection, .. } => Self::TooLarge(Arc::clone(connection)),
            Event::Frames { connection, .. } if !has_text => Self::TooLarge(Arc::clone(connection)),
            Event::Accepted { connection, .. } => Self::Close(Arc::clone(connection), None),
            Event::Connected {
                attempt,
                connection,
            } => Self::Close(Arc::clone(connection), Some(*attempt)),
            _ => Self::Skip,
        }
    }
}

/// A batch while it is laid out.
pub(super) struct Batch<'index> {
    env: sys::napi_env,
    index: &'index mut [u32],
    /// How many numbers of the index are in use.
    used: usize,
    extras: Vec<sys::napi_value>,
    /// The text of the frames became a string.
    has_text: bool,
    /// Some frames are binary, so every frame has two numbers.
    has_binary: bool,
}

impl Batch<'_> {
    /// Lays out `events`; returns its text, and its extras or undefined. An event that cannot be
    /// laid out does not affect the others.
    pub(super) fn encode(
        env: sys::napi_env,
        events: &mut EventBatch<connection::Connection>,
        index: &mut [u32],
        bytes: &mut [u8],
    ) -> Result<[sys::napi_value; 2]> {
        thread_local! {
            static ENDS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
        }
        let mut ends = ENDS.take();
        ends.clear();
        let has_binary = events.has_binary;
        let text = if has_binary {
            strings::mixed_frames(env, &events.text, &events.lengths, bytes, &mut ends)
        } else {
            strings::frames(env, &events.text, &events.lengths, &mut ends)
        };
        let has_text = text.is_ok();
        let text = text.or_else(|_| {
            clear_exception(env);
            strings::ascii(env, b"")
        })?;
        let mut batch = Batch {
            env,
            index,
            used: IndexHeader::Length as usize,
            extras: Vec::new(),
            has_text,
            has_binary,
        };
        let mut rest = ends.iter().copied();
        for event in events.events.drain(..) {
            batch.add(event, &mut rest);
        }
        // Bounded by INDEX_CAPACITY.
        #[allow(clippy::cast_possible_truncation)]
        let used = batch.used as u32;
        batch.index[IndexHeader::Used as usize] = used;
        ENDS.set(ends);
        let extras = if batch.extras.is_empty() {
            undefined(env)?
        } else {
            array(env, &batch.extras)?
        };
        Ok([text, extras])
    }

    /// Adds an event, or its [`Fallback`].
    fn add(&mut self, event: Event, ends: &mut impl Iterator<Item = u32>) {
        let (used, extras) = (self.used, self.extras.len());
        let fallback = Fallback::of(&event, self.has_text);
        if self.add_event(event, ends).is_ok() {
            return;
        }
        clear_exception(self.env);
        self.used = used;
        self.extras.truncate(extras);
        if self.add_fallback(fallback).is_err() {
            // The environment is ending, and takes no values at all.
            clear_exception(self.env);
            self.used = used;
            self.extras.truncate(extras);
        }
    }

    fn add_fallback(&mut self, fallback: Fallback) -> Result<()> {
        match fallback {
            Fallback::TooLarge(connection) => {
                self.extra(EventKind::TooLarge, connection.id(), f64::INFINITY)
            }
            Fallback::Close(connection, attempt) => {
                connection.close();
                attempt.map_or(Ok(()), |attempt| {
                    self.connect_failed(attempt, [(0, (ErrorKind::System, ENOMEM, "connect"))])
                })
            }
            Fallback::Skip => Ok(()),
        }
    }

    fn add_event(&mut self, event: Event, ends: &mut impl Iterator<Item = u32>) -> Result<()> {
        match event {
            Event::Frames {
                connection, count, ..
            } => self.frames(connection.id(), count, ends)?,
            Event::LargeFrame { connection, bytes } => {
                let text = strings::utf8(self.env, &bytes)?;
                self.push_extra(EventKind::LargeFrame, connection.id(), text);
            }
            Event::LargeBinaryFrame { connection, bytes } => {
                self.large_binary_frame(connection.id(), bytes)?;
            }
            Event::Raw { connection, bytes } => {
                self.extra(EventKind::Raw, connection.id(), Buffer::from(bytes))?;
            }
            Event::TooLarge { connection, limit } => {
                self.extra(EventKind::TooLarge, connection.id(), number(limit as u64))?;
            }
            Event::Ended(connection) => self.record(EventKind::Ended, connection.id(), 0),
            Event::Failed { connection, error } => {
                self.failure(
                    EventKind::Failed,
                    connection.id(),
                    connection_error_code(&error),
                )?;
            }
            Event::Flushed {
                connection,
                position,
            } => self.extra(EventKind::Flushed, connection.id(), number(position))?,
            Event::Dead(connection) => self.record(EventKind::Dead, connection.id(), 0),
            Event::BroadcastDone(id) => self.record(EventKind::BroadcastDone, id, 0),
            Event::Accepted {
                listener,
                connection,
            } => self.extra(EventKind::Accepted, listener, Connection::from(connection))?,
            Event::Refused { listener, ends } => {
                let ends = ends_of_tcp(self.env, ends.as_deref())?;
                self.push_extra(EventKind::Refused, listener, ends);
            }
            Event::ListenerFailed { listener, error } => {
                self.failure(
                    EventKind::ListenerFailed,
                    listener,
                    system_error_code(&error),
                )?;
            }
            Event::HandshakeFailed {
                listener,
                ends,
                error,
            } => self.handshake_failed(listener, ends.as_deref(), &error)?,
            Event::Connected {
                attempt,
                connection,
            } => self.extra(EventKind::Connected, attempt, Connection::from(connection))?,
            Event::ConnectFailed { attempt, failures } => {
                let failures = failures
                    .iter()
                    .map(|(endpoint, error)| (*endpoint, connect_error_code(error)));
                self.connect_failed(attempt, failures)?;
            }
        }
        Ok(())
    }

    /// Adds the next frames of the batch's text.
    fn frames(&mut self, id: u64, count: u32, ends: &mut impl Iterator<Item = u32>) -> Result<()> {
        if !self.has_text {
            return Err(Error::from_status(Status::GenericFailure));
        }
        if self.has_binary {
            self.record(EventKind::MixedFrames, id, count);
            self.push(ends.take(2 * count as usize));
        } else {
            self.record(EventKind::Frames, id, count);
            self.push(ends.take(count as usize));
        }
        Ok(())
    }

    fn large_binary_frame(&mut self, id: u64, bytes: Vec<u8>) -> Result<()> {
        let text = strings::utf8(self.env, strings::text_of(&bytes))?;
        let frame = value(self.env, Buffer::from(bytes))?;
        self.push_extra(EventKind::LargeBinaryFrame, id, text);
        self.extras.push(frame);
        Ok(())
    }

    fn push(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.index[self.used] = number;
            self.used += 1;
        }
    }

    fn record(&mut self, kind: EventKind, id: u64, value: u32) {
        let [low, high] = words(id);
        self.push([kind as u32, low, high, value]);
    }

    /// A record whose value is the index of `extra` in `extras`.
    fn push_extra(&mut self, kind: EventKind, id: u64, extra: sys::napi_value) {
        // A batch has a bounded number of events.
        #[allow(clippy::cast_possible_truncation)]
        let index = self.extras.len() as u32;
        self.record(kind, id, index);
        self.extras.push(extra);
    }

    fn extra(&mut self, kind: EventKind, id: u64, extra: impl ToNapiValue) -> Result<()> {
        let extra = value(self.env, extra)?;
        self.push_extra(kind, id, extra);
        Ok(())
    }

    /// A record whose extra is an error.
    fn failure(&mut self, kind: EventKind, id: u64, error: ErrorCode) -> Result<()> {
        let error = self.error(error)?;
        let error = array(self.env, &error)?;
        self.push_extra(kind, id, error);
        Ok(())
    }

    fn error(&self, (kind, number, syscall): ErrorCode) -> Result<[sys::napi_value; 3]> {
        Ok([
            value(self.env, kind as u32)?,
            value(self.env, number)?,
            value(self.env, syscall)?,
        ])
    }

    /// A record whose extra is an error. It has the addresses of TCP or null, and the reason why a
    /// certificate was refused or null.
    fn handshake_failed(
        &mut self,
        listener: u64,
        ends: Option<&(SocketAddr, SocketAddr)>,
        error: &HandshakeError,
    ) -> Result<()> {
        let [kind, number, syscall] = self.error(handshake_error_code(error))?;
        let untrusted = match error {
            HandshakeError::Tls(TlsError::Refused(untrusted)) => Some(untrusted),
            _ => None,
        };
        let failure = [
            kind,
            number,
            syscall,
            ends_of_tcp(self.env, ends)?,
            value(self.env, untrusted.map(|it| it.code))?,
            value(self.env, untrusted.map(|it| it.reason.as_str()))?,
        ];
        let failure = array(self.env, &failure)?;
        self.push_extra(EventKind::HandshakeFailed, listener, failure);
        Ok(())
    }

    /// `failures` has the index of each endpoint and its error.
    fn connect_failed(
        &mut self,
        attempt: u64,
        failures: impl IntoIterator<Item = (u32, ErrorCode)>,
    ) -> Result<()> {
        let mut values = Vec::new();
        for (endpoint, error) in failures {
            values.push(value(self.env, endpoint)?);
            values.extend(self.error(error)?);
        }
        let failures = array(self.env, &values)?;
        self.push_extra(EventKind::ConnectFailed, attempt, failures);
        Ok(())
    }
}

/// An id in two numbers of an index, the lower half first.
#[allow(clippy::cast_possible_truncation)]
fn words(id: u64) -> [u32; 2] {
    [id as u32, (id >> 32) as u32]
}

/// `[address, port, family, address, port, family]` of this end and the other, or null.
fn ends_of_tcp(
    env: sys::napi_env,
    ends: Option<&(SocketAddr, SocketAddr)>,
) -> Result<sys::napi_value> {
    let Some((local, peer)) = ends else {
        return value(env, Null);
    };
    let mut values = Vec::with_capacity(6);
    for end in [local, peer] {
        values.push(value(env, end.ip().to_string())?);
        values.push(value(env, u32::from(end.port()))?);
        values.push(value(env, family(end))?);
    }
    array(env, &values)
}
