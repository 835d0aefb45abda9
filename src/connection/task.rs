//! The task of a connection: waits for its socket on the runtime.

use super::Connection;
use super::read::ReadStop;
use super::reader_policy::{TrafficStats, may_move, runtime_reads_bulk};
use super::reader_state::{ReadState, ReaderKind, ReaderOps};
use crate::events::error::ConnectionError;
use crate::events::runtime;
use crate::trace;
use crate::transport::{Outgoing, Readiness, Stream, StreamWatch};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::Interest;

/// A stream that the runtime watches, and the readiness that it watches for.
type Registration = (Interest, StreamWatch);

impl Connection {
    pub(super) fn wake_task(self: &Arc<Self>) {
        self.reader_state.wake_task(self);
    }

    /// The task: waits for the socket and serves it, until the connection is closed, or only the
    /// poller has to serve it.
    async fn run(self: Arc<Self>, stream: Arc<Stream>) {
        let mut watched: Option<Registration> = None;
        loop {
            if self.reader_state.is_closed() {
                return;
            }
            if self.reader_state.is_idle(&self) {
                // Deregister before another task or the poller may register the descriptor.
                watched = None;
                if self.reader_state.try_park(&self) {
                    return;
                }
                // The connection may have been closed by a thread that saw no task.
                continue;
            }
            let is_reader = self.reader_state.kind() == ReaderKind::Runtime;
            let reads = is_reader
                && self.reader_state.read_state() == ReadState::Flowing
                && !self.is_backpressured();
            if reads && stream.has_buffered() {
                // The kernel has announced these bytes before, or will not announce them.
                self.read();
                tokio::task::yield_now().await;
                continue;
            }
            let writes = self.send_queue.lock().is_pending();
            let interest = interest(is_reader, writes);
            if interest != watched.as_ref().map(|(interest, _)| *interest) {
                // Drop the old registration first: a descriptor can be registered only once.
                drop(watched.take());
                match register(&stream, interest) {
                    Ok(registration) => watched = registration,
                    Err(error) => {
                        // The program closes the connection.
                        self.report_end(Some(ConnectionError::new("read", &error)));
                        return;
                    }
                }
            }
            let watch = watched.as_ref().map(|(_, watch)| watch);
            tokio::select! {
                biased;
                () = self.reader_state.wake().notified() => {}
                ready = ready(watch, Interest::WRITABLE), if writes => {
                    let Ok(mut ready) = ready else { return };
                    self.flush();
                    self.note_activity(Instant::now());
                    if self.send_queue.lock().is_pending() {
                        ready.clear();
                    }
                }
                ready = ready(watch, Interest::READABLE), if reads => {
                    let Ok(mut ready) = ready else { return };
                    match self.read() {
                        ReadStop::Drained => ready.clear(),
                        ReadStop::Budget => tokio::task::yield_now().await,
                        ReadStop::Stopped => {}
                    }
                    if self.environment.poller().is_some()
                        && !stream.has_buffered()
                        && stream.is_flushed()
                        && self.reader.lock().stats.is_for_loop(runtime_reads_bulk(&stream))
                        && may_move()
                    {
                        watched = None;
                        self.reader.lock().stats = TrafficStats::default();
                        trace::event!(DEBUG, id = self.id, "reader moves to the event loop");
                        self.reader_state.move_to_loop(&self);
                    }
                }
            }
        }
    }
}

impl ReaderOps for Arc<Connection> {
    type Stream = Arc<Stream>;

    fn stream(&self) -> Option<Arc<Stream>> {
        self.reader.lock().stream.clone()
    }

    fn watch(&self, stream: &Arc<Stream>) -> bool {
        self.environment
            .poller()
            .is_some_and(|poller| poller.add(self, stream).is_ok())
    }

    fn unwatch(&self, stream: &Arc<Stream>) {
        if let Some(poller) = self.environment.poller() {
            poller.remove(self.id, stream);
        }
    }

    fn is_pending(&self) -> bool {
        self.send_queue.lock().is_pending()
    }

    fn is_backpressured(&self) -> bool {
        Connection::is_backpressured(self)
    }

    fn start_task(&self) {
        // This must not run on this thread, because the caller may hold the lock of the reader or
        // of the send queue.
        let connection = Self::clone(self);
        // Listening or connecting has started the runtime.
        let _ = runtime::spawn(async move {
            if let Some(stream) = connection.stream() {
                let _reporter = PanicReporter(Self::clone(&connection));
                connection.run(stream).await;
            }
        });
    }
}

/// Reports the end of a connection whose task panics.
struct PanicReporter(Arc<Connection>);

impl Drop for PanicReporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report_end(Some(ConnectionError::TaskPanicked));
        }
    }
}

async fn ready(watch: Option<&StreamWatch>, interest: Interest) -> io::Result<Readiness<'_>> {
    match watch {
        Some(watch) => watch.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// The readiness that a task waits for.
fn interest(reads: bool, writes: bool) -> Option<Interest> {
    match (reads, writes) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

fn register(stream: &Arc<Stream>, interest: Option<Interest>) -> io::Result<Option<Registration>> {
    let Some(interest) = interest else {
        return Ok(None);
    };
    let watch = StreamWatch::new(Arc::clone(stream), interest)?;
    Ok(Some((interest, watch)))
}
