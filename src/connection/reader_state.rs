//! Which thread reads a connection, and whether a task is running.
//!
//! A connection is read by the event loop's thread, through the poller, or by a task on the
//! runtime. `reader_policy.rs` decides when it moves from one to the other. A connection that only
//! the poller has to serve has no task; a thread that has work for a task starts one. Pausing,
//! reaching a mark and closing happen in between, on any thread.
//!
//! The invariants, which `npm run model` checks on this code:
//!
//! - Whatever can be read, or waits to be sent, is served by the poller or by a task.
//! - The poller does not watch a connection that must not be read there: its descriptor would stay
//!   readable, and the event loop would spin.
//! - There is never a second task, and a closed connection has none. (`linger.rs` has its own.)
//!
//! The pattern is always the same: change the state, then the registration or the task. Code that
//! removes a registration or ends a task checks the state once more afterwards.

use crate::sync::{AtomicBool, AtomicU8, Notify, Ordering, fence};

/// Whether the receiving direction is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ReadState {
    /// Not yet: the program does not know the connection.
    Held,
    /// It is read.
    Flowing,
    /// Not now: the program paused the socket.
    Paused,
    /// No more: the peer ended, or the connection is broken or closed.
    Over,
}

/// The reader of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ReaderKind {
    /// The connection's task, on the runtime.
    Runtime,
    /// The thread of the JavaScript environment, through its poller.
    Loop,
}

/// The interface of a connection for its reader state.
pub(crate) trait ReaderOps {
    /// Keeps the descriptor open while it lives.
    type Stream;

    /// The stream, or `None` once the connection is closed.
    fn stream(&self) -> Option<Self::Stream>;
    /// Adds the stream to the poller, if it is not there yet. False: the poller has no room.
    fn watch(&self, stream: &Self::Stream) -> bool;
    /// Removes the stream from the poller.
    fn unwatch(&self, stream: &Self::Stream);
    /// Whether bytes or FIN wait to be sent.
    fn is_pending(&self) -> bool;
    /// Whether the reader must wait for JavaScript. If so, it is resumed later.
    fn is_backpressured(&self) -> bool;
    /// Starts a task, unless the connection is closed. The caller may hold locks of the connection.
    fn start_task(&self);
}

/// Which thread reads a connection, whether it is read at all, and whether a task is running.
pub(crate) struct ReaderState {
    /// A [`ReadState`].
    read_state: AtomicU8,
    /// A [`ReaderKind`].
    kind: AtomicU8,
    closed: AtomicBool,
    /// A task is running. A quiet connection has none: only the poller waits for it.
    task_running: AtomicBool,
    /// Wakes the task when its work has changed.
    wake: Notify,
}

impl ReaderState {
    pub(crate) fn new(kind: ReaderKind) -> Self {
        Self {
            read_state: AtomicU8::new(ReadState::Held as u8),
            kind: AtomicU8::new(kind as u8),
            closed: AtomicBool::new(false),
            task_running: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(crate) fn read_state(&self) -> ReadState {
        match self.read_state.load(Ordering::Acquire) {
            0 => ReadState::Held,
            1 => ReadState::Flowing,
            2 => ReadState::Paused,
            _ => ReadState::Over,
        }
    }

    pub(crate) fn kind(&self) -> ReaderKind {
        if self.kind.load(Ordering::Acquire) == ReaderKind::Loop as u8 {
            ReaderKind::Loop
        } else {
            ReaderKind::Runtime
        }
    }

    /// Whether the connection is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Notified when the task must check its work again.
    pub(crate) fn wake(&self) -> &Notify {
        &self.wake
    }

    /// Changes the read state if it is `from`, and resumes reading if that is the new state.
    pub(crate) fn change_read_state(&self, ops: &impl ReaderOps, from: ReadState, to: ReadState) {
        let changed = self.read_state.compare_exchange(
            from as u8,
            to as u8,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if changed.is_ok() && to == ReadState::Flowing {
            self.resume_reading(ops);
        }
    }

    /// Ends reading permanently.
    pub(crate) fn stop(&self) {
        self.read_state
            .store(ReadState::Over as u8, Ordering::Release);
    }

    /// Wakes the active reader.
    pub(crate) fn resume_reading(&self, ops: &impl ReaderOps) {
        // Ordered after the caller's change. Either the new kind is visible here, or the caller's
        // change is visible to the thread that moves the connection to the loop.
        fence(Ordering::SeqCst);
        if self.kind() == ReaderKind::Loop {
            self.resume_in_loop(ops);
        } else {
            self.wake_task(ops);
        }
    }

    fn resume_in_loop(&self, ops: &impl ReaderOps) {
        // The thread that sets `Flowing` resumes reading.
        if self.read_state() != ReadState::Flowing {
            return;
        }
        let Some(stream) = ops.stream() else {
            return;
        };
        if !ops.watch(&stream) {
            // The poller has no room (a limit of the system); the runtime has.
            self.kind
                .store(ReaderKind::Runtime as u8, Ordering::Release);
            ops.unwatch(&stream);
            self.wake_task(ops);
        } else if self.kind() != ReaderKind::Loop || self.read_state() != ReadState::Flowing {
            // Moved to the runtime, closed or paused in the meantime.
            ops.unwatch(&stream);
            self.recheck(ops);
        }
    }

    /// Stops watching a connection that the event loop's thread must not read.
    pub(crate) fn stop_watching(&self, ops: &impl ReaderOps) {
        if let Some(stream) = ops.stream() {
            ops.unwatch(&stream);
            self.recheck(ops);
        }
    }

    /// A concurrent resume may rely on the removed registration: check again.
    fn recheck(&self, ops: &impl ReaderOps) {
        if self.read_state() == ReadState::Flowing && !ops.is_backpressured() {
            self.resume_reading(ops);
        }
    }

    /// Moves the connection to the event loop's thread.
    pub(crate) fn move_to_loop(&self, ops: &impl ReaderOps) {
        self.kind.store(ReaderKind::Loop as u8, Ordering::Release);
        fence(Ordering::SeqCst);
        self.resume_in_loop(ops);
    }

    /// Moves the connection to the runtime.
    pub(crate) fn move_to_runtime(&self, ops: &impl ReaderOps) {
        self.kind
            .store(ReaderKind::Runtime as u8, Ordering::Release);
        if let Some(stream) = ops.stream() {
            ops.unwatch(&stream);
        }
        // The task may have moved the connection to the runtime and back in between.
        self.resume_reading(ops);
    }

    /// Wakes the task when its work has changed.
    pub(crate) fn wake_task(&self, ops: &impl ReaderOps) {
        if self.task_running.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        } else {
            ops.start_task();
        }
    }

    /// Whether the connection is open, and only the poller has to serve it.
    pub(crate) fn is_idle(&self, ops: &impl ReaderOps) -> bool {
        !self.is_closed() && self.kind() == ReaderKind::Loop && !ops.is_pending()
    }

    /// Ends an idle task. False if new work came up: then the task keeps running and checks
    /// everything once more. If the thread with the new work has started another task, this returns
    /// true.
    pub(crate) fn try_park(&self, ops: &impl ReaderOps) -> bool {
        // A swap, because it makes the change of a thread visible that tried to wake this task.
        self.task_running.swap(false, Ordering::AcqRel);
        self.is_idle(ops) || self.task_running.swap(true, Ordering::AcqRel)
    }

    /// Marks the connection as closed: its task ends and releases the descriptor.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // If no task is visible here, it has ended or is about to. A read-modify-write, because a
        // plain load could miss a task that keeps running.
        if self.task_running.fetch_or(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }
}
