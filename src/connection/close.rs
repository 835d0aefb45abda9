//! The end of a connection.

use super::Connection;
use super::linger::{self, LingerLimits};
use super::read::{LAST_READS, ReadStop};
use crate::events::environment::Member;
use crate::trace;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// How a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseMode {
    /// FIN follows the bytes that the kernel has.
    Graceful,
    /// With a reset.
    Reset,
    /// Not at all, because a duplicate of the descriptor is still in use.
    Detach,
}

impl Connection {
    /// Closes the connection: FIN follows the bytes that the kernel has. Queued bytes are
    /// discarded.
    pub fn close(self: &Arc<Self>) {
        self.close_with(CloseMode::Graceful);
    }

    /// Closes the connection with a reset.
    pub fn reset(self: &Arc<Self>) {
        self.close_with(CloseMode::Reset);
    }

    /// Releases the connection without ending it, because a duplicate of its descriptor is still in
    /// use. Does nothing and returns false with TLS, whose state is here, and while bytes wait to
    /// be sent.
    pub fn detach(self: &Arc<Self>) -> bool {
        let ready = !self.lock_send_queue().is_pending()
            && self
                .with_stream(|stream| !stream.is_secure())
                .unwrap_or(false);
        if ready {
            self.close_with(CloseMode::Detach);
        }
        ready
    }

    fn close_with(self: &Arc<Self>, mode: CloseMode) {
        self.reader_state.stop();
        self.end_reported.store(true, Ordering::Release);
        self.break_reported.store(true, Ordering::Release);
        let (sent, ended, taken) = {
            let mut send_queue = if mode == CloseMode::Graceful {
                // Sends the broadcasts so far.
                self.lock_send_queue()
            } else {
                self.send_queue.lock()
            };
            if mode == CloseMode::Graceful {
                // The position is no longer reported.
                let _ = send_queue.progress();
            }
            (
                send_queue.written() > 0,
                send_queue.has_ended(),
                send_queue.close(),
            )
        };
        {
            let mut reader = self.reader.lock();
            if let Some(stream) = reader.stream.take() {
                // The descriptor is still open, because the stream is dropped after this.
                if let Some(poller) = self.environment.poller() {
                    poller.remove(self.id, &stream);
                }
            }
            reader.framer.clear();
        }
        self.permit.lock().take();
        if let Some((stream, _)) = taken {
            trace::event!(DEBUG, id = self.id, ?mode, "connection closed");
            if mode == CloseMode::Reset {
                stream.reset_on_close();
            } else if mode == CloseMode::Graceful
                && stream.finish()
                && sent
                && !self.peer_ended.load(Ordering::Acquire)
            {
                let limits = if ended {
                    LingerLimits::LONG
                } else {
                    LingerLimits::SHORT
                };
                linger::start(stream, limits);
            }
        }
        self.environment.forget(self.id);
        self.reader_state.close();
        self.read_loopback_peer();
    }

    /// If both ends are in one process, the other end reads the end of this one before the program
    /// continues.
    pub(super) fn read_loopback_peer(&self) {
        if let Some(loopback_peer) = self.loopback_peer.get().and_then(Weak::upgrade) {
            loopback_peer.read_remaining();
        }
    }

    /// Reads the remaining bytes of a peer that has ended its direction.
    pub(super) fn read_remaining(self: &Arc<Self>) {
        // Bounded, because this runs on the event loop's thread. The reader reads the rest later.
        for _ in 0..LAST_READS {
            if self.read() != ReadStop::Budget {
                return;
            }
        }
    }
}

impl Member for Connection {
    fn resume_reading(self: &Arc<Self>) {
        self.reader_state.resume_reading(self);
    }

    fn queued(self: &Arc<Self>) -> usize {
        self.lock_send_queue().queued()
    }

    fn close(self: &Arc<Self>) {
        self.close_with(CloseMode::Graceful);
    }
}
