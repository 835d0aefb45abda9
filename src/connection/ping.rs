//! Pings of one connection.

use super::heartbeat::{HeartbeatAction, PONG_LIMIT, Ping, Progress};
use super::reader_state::ReadState;
use super::{Connection, Event};
use crate::protocol::PingBody;
use crate::transport::Stream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Connection {
    /// One beat of the ping timer: sends a ping, or reports a dead peer.
    pub fn beat(self: &Arc<Self>) {
        if let Some(frame) = self.due_ping() {
            self.write_control(&frame);
        }
    }

    /// The frame of the ping that is due at a beat; it counts as sent. `None` if the peer has not
    /// read earlier pings, or is dead, which an event reports.
    pub fn due_ping(self: &Arc<Self>) -> Option<Vec<u8>> {
        let read_state = self.reader_state.read_state();
        if matches!(read_state, ReadState::Held | ReadState::Over) {
            return None;
        }
        // The answers may follow bytes that this program has not taken, or that are not even read
        // yet. If the program paused the socket, its peer counts as dead nevertheless, as in
        // sockhop 1.8.4.
        let may_have_answers = read_state == ReadState::Flowing
            && (self.unread.is_stopped() || self.has_unread_input());
        // This comes before locking the heartbeat, because a reader holds its own lock when it
        // locks the heartbeat.
        let held = self.with_stream(Stream::send_buffer).unwrap_or_default();
        let mut heartbeat = self.heartbeat.lock();
        let heartbeat = heartbeat.get_or_insert_default();
        if may_have_answers {
            heartbeat.forget_unanswered();
        }
        // Saturating, because a reader may count a ping in between, and a part of a ping may have
        // come from the program.
        let control = self.control_bytes.load(Ordering::Relaxed);
        let received = self.bytes_in.load(Ordering::Relaxed);
        let progress = {
            let send_queue = self.send_queue.lock();
            Progress {
                received: received.saturating_sub(control),
                sent: send_queue.written(),
                waiting: send_queue.queued() > 0,
                held,
            }
        };
        match heartbeat.beat(&self.config, progress) {
            HeartbeatAction::Send(frame) => {
                (self.send_queue.lock().queued() <= PONG_LIMIT).then_some(frame)
            }
            HeartbeatAction::Dead => {
                self.environment.post(Event::Dead(Arc::clone(self)));
                None
            }
        }
    }

    /// Whether received bytes wait in the kernel, or are being read right now.
    fn has_unread_input(&self) -> bool {
        self.reader.try_lock().is_none_or(|reader| {
            let stream = reader.stream.as_ref();
            stream.is_some_and(|stream| stream.has_waiting())
        })
    }

    /// Forgets the pings sent so far.
    pub fn clear_pings(&self) {
        if let Some(heartbeat) = self.heartbeat.lock().as_mut() {
            heartbeat.clear();
        }
    }

    /// The last few pings that were sent, oldest first.
    pub fn pings(&self) -> Vec<Ping> {
        self.heartbeat
            .lock()
            .as_ref()
            .map(|heartbeat| heartbeat.pings().cloned().collect())
            .unwrap_or_default()
    }

    /// The last measured round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.heartbeat
            .lock()
            .as_ref()
            .and_then(|heartbeat| heartbeat.round_trip())
    }

    /// Records a pong, which the reader or JavaScript has found.
    pub fn answered(&self, pong: &PingBody) {
        if let Some(heartbeat) = self.heartbeat.lock().as_mut() {
            heartbeat.answered(pong);
        }
    }
}
