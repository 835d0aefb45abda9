//! `Connection`: reading, writing and ending one connection of a client or a server.

use super::address::EndAddress;
use super::descriptors;
use super::strings::{self, OutgoingFrame};
use super::tls::TlsAgreement;
use super::values::{duration, number};
use crate::connection::{self, WriteOutcome, heartbeat};
use crate::events::event::LARGE_FRAME;
use napi::bindgen_prelude::{Result, Uint8Array, Unknown};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// The pings that are kept. If none of them is answered, the peer counts as dead. JavaScript does the
/// same for streams that the program brings.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only JavaScript reads it"))]
#[allow(clippy::cast_possible_truncation)]
pub const UNANSWERED_LIMIT: u32 = heartbeat::UNANSWERED_LIMIT as u32;

/// While more bytes than this wait for a peer, it gets no pongs. JavaScript does the same.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only JavaScript reads it"))]
#[allow(clippy::cast_possible_truncation)]
pub const PONG_LIMIT: u32 = heartbeat::PONG_LIMIT as u32;

/// The result of `write` when the kernel has everything.
const WRITTEN: f64 = 0.0;
/// Its result on a connection that is closed for sending.
const CLOSED: f64 = -1.0;
/// Its result when the policy for slow consumers refuses the bytes.
const REFUSED: f64 = -2.0;

fn answer(sent: WriteOutcome) -> f64 {
    match sent {
        WriteOutcome::Written => WRITTEN,
        WriteOutcome::Waiting(position) => number(position),
        WriteOutcome::Refused => REFUSED,
        WriteOutcome::Closed => CLOSED,
    }
}

/// A ping that was sent.
#[napi(object)]
pub struct PingRecord {
    /// Its id.
    pub id: String,
    /// Milliseconds since 1970.
    pub created: f64,
    /// The data of the answer, as JSON.
    pub returned: String,
    /// Milliseconds since 1970, once answered.
    pub finished: Option<f64>,
}

/// The process at the other end of a Unix socket.
#[napi(object)]
pub struct PeerCredentials {
    /// Its id, if the system reports it.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The counters of a connection.
#[napi(object)]
pub struct Traffic {
    /// Bytes read.
    pub bytes_in: f64,
    /// Bytes that the kernel took.
    pub bytes_out: f64,
    /// Bytes waiting to go out.
    pub queued: f64,
    /// Broadcasts refused for a slow consumer.
    pub refused: f64,
    /// Bytes that JavaScript has not taken, each frame with 32 bytes more than its text.
    pub unread: f64,
    /// The event loop reads the connection, and not an I/O thread.
    pub in_loop: bool,
}

impl From<connection::Counters> for Traffic {
    fn from(traffic: connection::Counters) -> Self {
        Self {
            bytes_in: number(traffic.bytes_in),
            bytes_out: number(traffic.bytes_out),
            queued: number(traffic.queued),
            refused: number(traffic.refused),
            unread: number(traffic.unread),
            in_loop: traffic.in_loop,
        }
    }
}

/// One connection of a server or a client, which `lib/SockhopSocket.js` shows to the program as a
/// `net.Socket`. Its events carry `id`.
#[napi]
pub struct Connection {
    pub(super) inner: Arc<connection::Connection>,
}

impl From<Arc<connection::Connection>> for Connection {
    fn from(inner: Arc<connection::Connection>) -> Self {
        Self { inner }
    }
}

#[napi]
impl Connection {
    /// Unique among the connections of the process, past ones included.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> f64 {
        number(self.inner.id())
    }

    /// Whether the other end is in this process and reads: an action of this end is in its event
    /// queue already.
    #[napi(catch_unwind)]
    pub fn has_loopback_peer(&self) -> bool {
        self.inner.has_loopback_peer()
    }

    /// Sends a text of `length` UTF-16 units. Returns 0 if the kernel has all of it. Otherwise it
    /// returns the position in the outgoing stream at which a `Flushed` event follows, -1 if the
    /// connection is closed for sending, or -2 if the policy for slow consumers refuses the text.
    #[napi(catch_unwind)]
    pub fn write(&self, text: Unknown<'_>, length: u32) -> Result<f64> {
        strings::with_utf8(&text, length, |bytes| {
            answer(if bytes.len() >= LARGE_FRAME && strings::is_filled(bytes) {
                self.inner.write_owned(std::mem::take(bytes))
            } else {
                self.inner.write(bytes)
            })
        })
    }

    /// Like `write`, for `count` frames whose texts are concatenated. `numbers` has three of each:
    /// the length of its text in UTF-16 units, and the begin and the end of its data in `bytes`. A
    /// frame without data is a text frame, with its terminator; the others are of `kind`.
    #[napi(catch_unwind)]
    pub fn write_frames(
        &self,
        text: Unknown<'_>,
        length: u32,
        bytes: &[u8],
        numbers: &[u32],
        count: u32,
        kind: u8,
    ) -> Result<f64> {
        let frames = numbers.chunks_exact(3).take(count as usize).map(|frame| {
            let range = frame[1] as usize..frame[2] as usize;
            OutgoingFrame {
                units: frame[0] as usize,
                kind: (!range.is_empty()).then_some(kind),
                data: bytes.get(range).unwrap_or_default(),
            }
        });
        strings::with_frames(&text, length, frames, |bytes| {
            answer(if bytes.len() >= LARGE_FRAME && strings::is_filled(bytes) {
                self.inner.write_owned(std::mem::take(bytes))
            } else {
                self.inner.write(bytes)
            })
        })
    }

    /// Accepts binary frames, once the peer has announced them.
    #[napi(catch_unwind)]
    pub fn offer_binary(&self) {
        self.inner.offer_binary();
    }

    /// Switches to `Raw` events without frames once the peer has said that it sends no more binary
    /// frames.
    #[napi(catch_unwind)]
    pub fn expect_bytes(&self) {
        self.inner.expect_bytes();
    }

    /// Like `write`, for bytes that the program writes.
    #[napi(catch_unwind)]
    pub fn write_bytes(&self, bytes: Uint8Array) -> f64 {
        answer(self.inner.write_part(&bytes))
    }

    /// Holds pings, pongs and broadcasts back while the program writes bytes of its own.
    #[napi(catch_unwind)]
    pub fn hold(&self, on: bool) {
        self.inner.hold(on);
    }

    /// How many bytes wait for the kernel, and the position at which a `Flushed` event follows.
    #[napi(catch_unwind)]
    pub fn waiting(&self) -> (f64, f64) {
        let (queued, position) = self.inner.waiting();
        (number(queued as u64), number(position))
    }

    /// Ends the outgoing direction after the sent bytes. Returns the same as `write`.
    #[napi(catch_unwind)]
    pub fn end(&self) -> f64 {
        answer(self.inner.end())
    }

    /// Begins to read, unless `paused`. Returns whether the other end is in this environment: then
    /// the messages of both are in the event queue already.
    #[napi(catch_unwind)]
    pub fn start(&self, paused: bool) -> bool {
        self.inner.start(paused)
    }

    /// Reads once before `start`: the bytes become a `Raw` event and no frames.
    #[napi(catch_unwind)]
    pub fn read_early(&self) {
        self.inner.read_early();
    }

    /// Stops reading before `start`. Returns how many bytes are in `Raw` events, past and future.
    #[napi(catch_unwind)]
    pub fn stop_early(&self) -> f64 {
        number(self.inner.stop_early())
    }

    /// Takes the beginning of a frame that was read before `start`.
    #[napi(catch_unwind)]
    pub fn begin_frame(&self, bytes: Uint8Array) {
        self.inner.begin_frame(&bytes);
    }

    /// Stops reading.
    #[napi(catch_unwind)]
    pub fn pause(&self) {
        self.inner.pause();
    }

    /// Reads again.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.inner.resume();
    }

    /// Turns `Raw` events on or off; frames follow in either case.
    #[napi(catch_unwind)]
    pub fn set_raw(&self, on: bool) {
        self.inner.set_raw(on);
    }

    /// Turns `Raw` events on. The first one comes after the frames that were read before, and has
    /// the beginning of the next frame, which may be empty.
    #[napi(catch_unwind)]
    pub fn begin_raw(&self) {
        self.inner.begin_raw();
    }

    /// Passes pings and pongs to JavaScript as frames, which then answers them.
    #[napi(catch_unwind)]
    pub fn set_show_control(&self, on: bool) {
        self.inner.set_show_control(on);
    }

    /// Switches to `Raw` events without frames. To be called before `start`.
    #[napi(catch_unwind)]
    pub fn set_bytes_only(&self) {
        self.inner.set_bytes_only();
    }

    /// Sends the next ping on this connection only, or finds it dead.
    #[napi(catch_unwind)]
    pub fn ping(&self) {
        self.inner.beat();
    }

    /// Like `ping`, but JavaScript sends the ping, which is the last of `pings`. Returns whether
    /// there is one.
    #[napi(catch_unwind)]
    pub fn next_ping(&self) -> bool {
        self.inner.due_ping().is_some()
    }

    /// Closes the connection in order, or with a reset. No event follows.
    #[napi(catch_unwind)]
    pub fn close(&self, reset: bool) {
        if reset {
            self.inner.reset();
        } else {
            self.inner.close();
        }
    }

    /// A duplicate of the descriptor, which the caller closes; -1 if there is none.
    #[napi(catch_unwind)]
    pub fn duplicate(&self) -> i32 {
        self.inner.with_stream(descriptors::of_stream).unwrap_or(-1)
    }

    /// Drops the connection without ending it, because a duplicate of its descriptor is still in
    /// use. False if bytes wait to be sent, or with TLS. No event follows.
    #[napi(catch_unwind)]
    pub fn release(&self) -> bool {
        self.inner.detach()
    }

    /// The addresses of this end and the other.
    #[napi(catch_unwind)]
    pub fn addresses(&self) -> (Option<EndAddress>, Option<EndAddress>) {
        let addresses = self.inner.addresses();
        (
            addresses.local.as_ref().and_then(EndAddress::of),
            addresses.peer.as_ref().and_then(EndAddress::of),
        )
    }

    /// The process at the other end of a Unix socket.
    #[napi(catch_unwind)]
    pub fn peer_credentials(&self) -> Option<PeerCredentials> {
        let found = self.inner.peer_credentials()?;
        Some(PeerCredentials {
            pid: found.pid,
            uid: found.uid,
            gid: found.gid,
        })
    }

    /// `TCP_NODELAY`.
    #[napi(catch_unwind)]
    pub fn set_no_delay(&self, on: bool) {
        // A broken connection has no socket to set it on.
        let _ = self.inner.with_stream(|stream| stream.set_no_delay(on));
    }

    /// Keep-alive probes, the first after `initial_delay` milliseconds (0: the system's default).
    #[napi(catch_unwind)]
    pub fn set_keep_alive(&self, on: bool, initial_delay: f64) {
        let delay = duration(initial_delay).unwrap_or(Duration::ZERO);
        let _ = self
            .inner
            .with_stream(|stream| stream.set_keep_alive(on, delay));
    }

    /// The last pings that were sent, oldest first.
    #[napi(catch_unwind)]
    pub fn pings(&self) -> Vec<PingRecord> {
        self.inner
            .pings()
            .into_iter()
            .map(|ping| PingRecord {
                id: ping.id,
                created: number(ping.created),
                returned: ping.returned.to_string(),
                finished: ping.finished.map(number),
            })
            .collect()
    }

    /// Forgets the pings sent so far.
    #[napi(catch_unwind)]
    pub fn clear_pings(&self) {
        self.inner.clear_pings();
    }

    /// Takes the frame of a pong that was passed to JavaScript.
    #[napi(catch_unwind)]
    pub fn pong(&self, frame: String) {
        if let Some(crate::protocol::Control::Pong(body)) =
            crate::protocol::parse_control(frame.as_bytes())
        {
            self.inner.answered(&body);
        }
    }

    /// The last round trip of a ping, in milliseconds.
    #[napi(catch_unwind)]
    pub fn round_trip(&self) -> Option<f64> {
        self.inner
            .round_trip()
            .map(|time| time.as_secs_f64() * 1000.0)
    }

    /// The result of the TLS handshake; `None` for a plain or a closed connection.
    #[napi(catch_unwind)]
    pub fn agreement(&self) -> Option<TlsAgreement> {
        self.inner
            .with_stream(|stream| stream.agreement().map(TlsAgreement::from))
            .flatten()
    }

    /// Counts `amount` bytes as unread that were dispatched, because the program has not taken
    /// them.
    #[napi(catch_unwind)]
    pub fn retain(&self, amount: u32) {
        self.inner.retain(amount as usize);
    }

    /// Reverts `retain`.
    #[napi(catch_unwind)]
    pub fn release_retained(&self, amount: u32) {
        self.inner.release_retained(amount as usize);
    }

    /// The time in milliseconds since bytes last arrived, or last left other than by a write of
    /// JavaScript.
    #[napi(catch_unwind)]
    pub fn idle_time(&self) -> f64 {
        self.inner.silence().as_secs_f64() * 1000.0
    }

    /// The counters of bytes.
    #[napi(catch_unwind)]
    pub fn traffic(&self) -> Traffic {
        self.inner.counters().into()
    }
}
