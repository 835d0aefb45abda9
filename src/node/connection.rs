//! One connection, as `lib/` drives it.

use super::queue::number;
use super::strings as text;
use super::tls::TlsAgreement;
use crate::net::connection::Sent;
use crate::net::stream::Address;
use crate::net::{self};
use napi::bindgen_prelude::{Result, Uint8Array, Unknown};
use napi_derive::napi;
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

/// What `write` answers when the kernel has everything.
const WRITTEN: f64 = 0.0;
/// What it answers on a connection that takes no more.
const CLOSED: f64 = -1.0;
/// What it answers when the policy for slow consumers refuses the bytes.
const REFUSED: f64 = -2.0;

fn answer(sent: Sent) -> f64 {
    match sent {
        Sent::Written => WRITTEN,
        Sent::Waiting(position) => number(position),
        Sent::Refused => REFUSED,
        Sent::Closed => CLOSED,
    }
}

/// One end of a connection.
#[napi(object)]
pub struct EndAddress {
    /// An IP address, or a path.
    pub address: String,
    /// The port, of an IP address.
    pub port: Option<u16>,
    /// `IPv4` or `IPv6`, of an IP address.
    pub family: Option<String>,
    /// The number of the link, of a link-local address.
    pub scope: Option<u32>,
}

pub(super) fn end_address(address: &Address) -> Option<EndAddress> {
    match address {
        Address::Inet(inet) => Some(EndAddress {
            address: inet.ip().to_string(),
            port: Some(inet.port()),
            scope: match inet {
                SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => Some(v6.scope_id()),
                _ => None,
            },
            family: Some(if inet.is_ipv4() {
                "IPv4".into()
            } else {
                "IPv6".into()
            }),
        }),
        Address::Unix(path) => path.clone().map(|address| EndAddress {
            address,
            port: None,
            family: None,
            scope: None,
        }),
    }
}

/// A ping that was sent.
#[napi(object)]
pub struct PingRecord {
    /// Its id.
    pub id: String,
    /// Milliseconds since 1970.
    pub created: f64,
    /// What the peer said, as JSON.
    pub returned: String,
    /// Milliseconds since 1970, once answered.
    pub finished: Option<f64>,
}

/// The counters of a connection.
#[napi(object)]
pub struct Traffic {
    /// Bytes read.
    pub bytes_in: f64,
    /// Bytes the kernel took.
    pub bytes_out: f64,
    /// Bytes waiting to go out.
    pub queued: f64,
    /// Broadcasts refused for a slow consumer.
    pub refused: f64,
}

impl From<net::connection::Traffic> for Traffic {
    fn from(traffic: net::connection::Traffic) -> Self {
        Self {
            bytes_in: number(traffic.bytes_in),
            bytes_out: number(traffic.bytes_out),
            queued: number(traffic.queued),
            refused: number(traffic.refused),
        }
    }
}

/// One connection, of a server or a client: the native side of what `lib/SockhopSocket.js` shows to the
/// program, and with it of a server's session. Its events carry `id`.
#[napi]
pub struct SockhopSession {
    pub(super) inner: Arc<net::Connection>,
}

#[napi]
impl SockhopSession {
    /// No other connection of the process has it, or had it before.
    #[napi(getter)]
    pub fn id(&self) -> f64 {
        number(self.inner.id())
    }

    /// Whether the other end is in this process and reads: what this one did is in its mailbox by then.
    #[napi]
    pub fn is_paired(&self) -> bool {
        self.inner.is_paired()
    }

    /// Sends a text of `length` UTF-16 units: 0 if the kernel has it all; the position in the
    /// outgoing stream that a `FLUSHED` event will tell of; -1 if the connection takes no more; -2 if
    /// it is refused for a slow consumer.
    #[napi]
    pub fn write(&self, text: Unknown<'_>, length: u32) -> Result<f64> {
        text::with_utf8(&text, length, |bytes| {
            answer(
                if bytes.len() >= net::mailbox::LARGE_FRAME && text::is_filled(bytes) {
                    self.inner.write_owned(std::mem::take(bytes))
                } else {
                    self.inner.write(bytes)
                },
            )
        })
    }

    /// As `write`, for bytes that the program writes by itself.
    #[napi]
    pub fn write_bytes(&self, bytes: Uint8Array) -> f64 {
        answer(self.inner.write_part(&bytes))
    }

    /// Whether the program is in the midst of writing bytes of its own: pings, pongs and broadcasts stay out of it.
    #[napi]
    pub fn hold(&self, on: bool) {
        self.inner.hold(on);
    }

    /// How many bytes wait for the kernel, and the position that a `FLUSHED` event will tell of when it has them.
    #[napi]
    pub fn waiting(&self) -> (f64, f64) {
        let (queued, position) = self.inner.waiting();
        (number(queued as u64), number(position))
    }

    /// Ends the outgoing direction behind what was sent. Answers as `write` does.
    #[napi]
    pub fn end(&self) -> f64 {
        answer(self.inner.end())
    }

    /// Begins to read, or would if it were not paused. Answers whether the other end is in this environment: then what
    /// each has said to the other is in the mailbox.
    #[napi]
    pub fn start(&self, paused: bool) -> bool {
        self.inner.start(paused)
    }

    /// Reads once before it is started: what comes is told as raw bytes alone.
    #[napi]
    pub fn read_early(&self) {
        self.inner.read_early();
    }

    /// Reads no more before it is started. Answers how many bytes were told, or will be.
    #[napi]
    pub fn stop_early(&self) -> f64 {
        number(self.inner.stop_early())
    }

    /// Takes the beginning of a frame that was read before it is started.
    #[napi]
    pub fn begin_frame(&self, bytes: Uint8Array) {
        self.inner.begin_frame(&bytes);
    }

    /// Stops reading.
    #[napi]
    pub fn pause(&self) {
        self.inner.pause();
    }

    /// Reads again.
    #[napi]
    pub fn resume(&self) {
        self.inner.resume();
    }

    /// Whether raw bytes are wanted, too.
    #[napi]
    pub fn set_raw(&self, on: bool) {
        self.inner.set_raw(on);
    }

    /// Whether pings and pongs are frames like all others, for JavaScript to answer.
    #[napi]
    pub fn set_show_control(&self, on: bool) {
        self.inner.set_show_control(on);
    }

    /// Has bytes handed over and no frames. To be called before `start`.
    #[napi]
    pub fn set_bytes_only(&self) {
        self.inner.set_bytes_only();
    }

    /// The beat of the ping timer, for this connection alone.
    #[napi]
    pub fn beat(&self) {
        self.inner.beat();
    }

    /// As `beat`, but the ping, the last of `pings`, is for JavaScript to send. Answers whether there is one.
    #[napi]
    pub fn due_ping(&self) -> bool {
        self.inner.due_ping().is_some()
    }

    /// Closes the connection in order, or with a reset. No event follows.
    #[napi]
    pub fn close(&self, reset: bool) {
        if reset {
            self.inner.reset();
        } else {
            self.inner.close();
        }
    }

    /// Another descriptor of the connection, for the caller to close; -1 if there is none.
    #[napi]
    pub fn duplicate(&self) -> i32 {
        let own = self.inner.with_stream(net::stream::Stream::duplicate);
        own.and_then(std::result::Result::ok)
            .map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Lets go of the connection and does not end it, because a duplicate of its descriptor lives on. False: something
    /// waits to be sent, or it speaks TLS. No event follows.
    #[napi]
    pub fn release(&self) -> bool {
        self.inner.release()
    }

    /// This end and the other.
    #[napi]
    pub fn addresses(&self) -> (Option<EndAddress>, Option<EndAddress>) {
        let addresses = self.inner.addresses();
        (
            addresses.local.as_ref().and_then(end_address),
            addresses.peer.as_ref().and_then(end_address),
        )
    }

    /// `TCP_NODELAY`.
    #[napi]
    pub fn set_no_delay(&self, on: bool) {
        // On a connection that broke meanwhile there is nothing to set.
        let _ = self.inner.with_stream(|stream| stream.set_no_delay(on));
    }

    /// Keep-alive probes, the first after `initial_delay` milliseconds (0: the system's default).
    #[napi]
    pub fn set_keep_alive(&self, on: bool, initial_delay: f64) {
        let delay = super::options::interval(initial_delay).unwrap_or(Duration::ZERO);
        let _ = self
            .inner
            .with_stream(|stream| stream.set_keep_alive(on, delay));
    }

    /// The pings sent of late, oldest first.
    #[napi]
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
    #[napi]
    pub fn clear_pings(&self) {
        self.inner.clear_pings();
    }

    /// Takes a pong that was shown to JavaScript, as JSON text of its frame.
    #[napi]
    pub fn pong(&self, frame: String) {
        if let Some(crate::wire::Control::Pong(body)) = crate::wire::control(frame.as_bytes()) {
            self.inner.answered(&body);
        }
    }

    /// The last round trip of a ping, in milliseconds.
    #[napi]
    pub fn round_trip(&self) -> Option<f64> {
        self.inner
            .round_trip()
            .map(|time| time.as_secs_f64() * 1000.0)
    }

    /// What the TLS handshake agreed on; nothing on a connection in the clear, or one that is closed.
    #[napi]
    pub fn agreement(&self) -> Option<TlsAgreement> {
        self.inner
            .with_stream(|stream| stream.agreement().map(TlsAgreement::from))
            .flatten()
    }

    /// Counts `amount` that was delivered as unread, because the program has not taken it.
    #[napi]
    pub fn retain(&self, amount: u32) {
        self.inner.retain(amount as usize);
    }

    /// Takes back what `retain` counted.
    #[napi]
    pub fn give_back(&self, amount: u32) {
        self.inner.give_back(amount as usize);
    }

    /// For how many milliseconds nothing came, and nothing left but what JavaScript has written.
    #[napi]
    pub fn silence(&self) -> f64 {
        self.inner.silence().as_secs_f64() * 1000.0
    }

    /// The counters.
    #[napi]
    pub fn traffic(&self) -> Traffic {
        self.inner.traffic().into()
    }
}
