//! The sending direction.

use super::config::SlowConsumer;
use super::heartbeat::PONG_LIMIT;
use super::read::{LAST_READS, ReadStop};
use super::reader_state::ReadState;
use super::send_queue::SendQueue;
use super::{Connection, WriteOutcome};
use crate::events::error::ConnectionError;
use crate::events::runtime;
use crate::trace;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the last reads wait for a program that does not take the bytes, and the pause between
/// them.
const LAST_READS_TIME: Duration = Duration::from_secs(30);

const LAST_READS_PAUSE: Duration = Duration::from_millis(2);

impl Connection {
    /// Sends bytes: at once if the kernel takes them, otherwise after the bytes that already wait.
    pub fn write(self: &Arc<Self>, bytes: &[u8]) -> WriteOutcome {
        self.write_with(bytes, Bytes::copy_from_slice)
    }

    /// Like [`write`](Self::write), for a part of the bytes that the program writes by itself. The
    /// policy for slow consumers never drops it, because the bytes after a missing part would be
    /// worthless.
    pub fn write_part(self: &Arc<Self>, bytes: &[u8]) -> WriteOutcome {
        let mut send_queue = self.lock_send_queue();
        if send_queue.is_open() && self.config.slow_consumer == SlowConsumer::Drop {
            return self.write_open(&mut send_queue, bytes, Bytes::copy_from_slice);
        }
        self.write_locked(&mut send_queue, bytes, Bytes::copy_from_slice)
    }

    /// Like [`write`](Self::write), for a buffer that need not be copied if it has to wait.
    pub fn write_owned(self: &Arc<Self>, bytes: Vec<u8>) -> WriteOutcome {
        let mut send_queue = self.lock_send_queue();
        let bytes = Bytes::from(bytes);
        self.write_locked(&mut send_queue, &bytes, |rest| bytes.slice_ref(rest))
    }

    fn write_with(
        self: &Arc<Self>,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        let mut send_queue = self.lock_send_queue();
        self.write_locked(&mut send_queue, bytes, keep)
    }

    fn write_locked(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        if !send_queue.is_open() {
            return WriteOutcome::Closed;
        }
        if send_queue.queued() >= self.config.send_high_water_mark {
            trace::event!(DEBUG, id = self.id, "send mark reached");
            match self.config.slow_consumer {
                SlowConsumer::Wait => {}
                SlowConsumer::Drop => return WriteOutcome::Refused,
                SlowConsumer::Disconnect => {
                    self.abort_sending(send_queue, None);
                    return WriteOutcome::Refused;
                }
            }
        }
        self.write_open(send_queue, bytes, keep)
    }

    fn write_open(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        bytes: &[u8],
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> WriteOutcome {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let before = send_queue.queued();
        match send_queue.write(bytes, keep) {
            Ok(None) => WriteOutcome::Written,
            Ok(Some(position)) => {
                self.note_send_mark(before, send_queue.queued());
                self.wake_task();
                WriteOutcome::Waiting(position)
            }
            Err(error) => {
                self.abort_sending(send_queue, Some(ConnectionError::new("write", &error)));
                WriteOutcome::Closed
            }
        }
    }

    /// Counts the send mark if the bytes that wait have just reached it.
    pub(super) fn note_send_mark(&self, before: usize, now: usize) {
        let mark = self.config.send_high_water_mark;
        if before < mark && now >= mark {
            self.config.marks.count_send();
        }
    }

    /// Sends a ping or a pong, unless too much waits already. It does not interrupt bytes that the
    /// program writes by itself.
    pub(super) fn write_control(self: &Arc<Self>, frame: &[u8]) {
        let mut send_queue = self.lock_send_queue();
        self.note_activity(Instant::now());
        if !send_queue.keep(frame, PONG_LIMIT) && send_queue.queued() <= PONG_LIMIT {
            self.write_locked(&mut send_queue, frame, Bytes::copy_from_slice);
        }
    }

    /// Marks the beginning or the end of bytes that the program writes by itself. In between,
    /// pings, pongs and broadcasts are kept back.
    pub fn hold(self: &Arc<Self>, on: bool) {
        let mut send_queue = self.lock_send_queue();
        if on {
            send_queue.hold();
            return;
        }
        let kept = send_queue.release();
        if !kept.is_empty() {
            self.write_locked(&mut send_queue, &kept, Bytes::copy_from_slice);
        }
    }

    /// The number of bytes that wait for the kernel, and the position that [`Event::Flushed`] will
    /// report once the kernel has them.
    pub fn waiting(self: &Arc<Self>) -> (usize, u64) {
        let mut send_queue = self.lock_send_queue();
        let position = send_queue.wait();
        if position.is_some() {
            self.wake_task();
        }
        (send_queue.queued(), position.unwrap_or(0))
    }

    /// Writes as many queued bytes as the kernel takes. The task writes the rest.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut send_queue = self.send_queue.lock();
        self.flush_locked(&mut send_queue);
    }

    /// Ends the sending direction: FIN follows everything sent so far. Returns the same as
    /// [`write`](Self::write).
    pub fn end(self: &Arc<Self>) -> WriteOutcome {
        let mut send_queue = self.lock_send_queue();
        if !send_queue.is_open() {
            return WriteOutcome::Closed;
        }
        match send_queue.end() {
            Ok(None) => {
                drop(send_queue);
                self.read_loopback_peer();
                WriteOutcome::Written
            }
            Ok(Some(position)) => {
                self.wake_task();
                WriteOutcome::Waiting(position)
            }
            Err(error) => {
                // The peer has closed the connection already.
                self.abort_sending(
                    &mut send_queue,
                    Some(ConnectionError::new("shutdown", &error)),
                );
                WriteOutcome::Closed
            }
        }
    }

    /// Gives up the sending direction. Bytes that the peer has sent are still read, and then the
    /// program gets the error.
    pub(super) fn abort_sending(
        self: &Arc<Self>,
        send_queue: &mut SendQueue,
        error: Option<ConnectionError>,
    ) {
        send_queue.close();
        let connection = Arc::clone(self);
        let began = Instant::now();
        // This must not run on this thread, because the caller holds the lock of the send queue.
        let _ = runtime::spawn(async move {
            let mut reads = 0;
            // Skips these reads when a slow consumer is disconnected.
            while error.is_some() && reads < LAST_READS && began.elapsed() < LAST_READS_TIME {
                match connection.read() {
                    ReadStop::Budget => {
                        reads += 1;
                        tokio::task::yield_now().await;
                    }
                    ReadStop::Stopped
                        if connection.reader_state.read_state() == ReadState::Flowing =>
                    {
                        tokio::time::sleep(LAST_READS_PAUSE).await;
                    }
                    ReadStop::Stopped | ReadStop::Drained => break,
                }
            }
            connection.report_end(Some(error.unwrap_or(ConnectionError::SlowConsumer)));
            connection.wake_task();
        });
    }
}
