//! Who reads a connection, and who waits for it.
//!
//! A connection is read by the event loop's thread, through the poller, or by a task on the runtime.
//! They take turns: `load.rs` says when it goes to the runtime, and when it comes back. A connection that only the
//! poller has any use for has no task; whoever has work for one starts it. Pausing, marks, and
//! closing come in between, on any thread.
//!
//! What must hold, and `npm run model` checks on this very code: whatever can be read, or waits to be
//! sent, has somebody who does it; no connection is watched by the poller while it is not to be read
//! there, for the descriptor would stay readable and the event loop would spin; there is never a
//! second task; a closed connection has none, and what is left of it is not the switch's (see `linger.rs`).
//!
//! The pattern is the same everywhere: change the state, then the registration or the task; whoever
//! takes a registration or a task away looks at the state once more afterwards.

use crate::sync::{AtomicBool, AtomicU8, Notify, Ordering, fence};

/// Whether the incoming direction is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ReadState {
    /// Not yet: the program has not been reported of the connection.
    Held,
    /// Yes.
    Flowing,
    /// No: the program paused the socket.
    Paused,
    /// Never again: the peer ended, or the connection is broken or closed.
    Over,
}

/// Who reads the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ReaderKind {
    /// The task, on the runtime.
    Runtime,
    /// The thread of the JavaScript environment, through the mailbox's poller.
    Loop,
}

/// What the switch asks of its connection.
pub(crate) trait ReaderOps {
    /// Keeps the descriptor open while it is held.
    type Stream;

    /// The stream, until the connection is closed.
    fn stream(&self) -> Option<Self::Stream>;
    /// Has the poller watch the stream, if it does not yet. False: it has no room for it.
    fn watch(&self, stream: &Self::Stream) -> bool;
    /// Has the poller watch it no more.
    fn unwatch(&self, stream: &Self::Stream);
    /// Whether something waits to be sent.
    fn is_pending(&self) -> bool;
    /// Whether the reader must wait for JavaScript, which has the reader attend again.
    fn is_backpressured(&self) -> bool;
    /// Starts a task, if the connection still has a stream. The caller may hold locks of the connection.
    fn start_task(&self);
}

/// The state.
pub(crate) struct ReaderState {
    /// A [`ReadState`].
    read_state: AtomicU8,
    /// A [`Place`].
    kind: AtomicU8,
    closed: AtomicBool,
    /// There is a task. A quiet connection has none: nobody waits for it but the poller.
    task_running: AtomicBool,
    /// Tells the task that what it waits for has changed.
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

    /// What the task waits for besides its stream.
    pub(crate) fn wake(&self) -> &Notify {
        &self.wake
    }

    // ---- whether it is read ---------------------------------------------------------------

    /// Changes the flow if it is `from`, and has the reader go on if there is a reason to.
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

    /// Nothing more is read.
    pub(crate) fn stop(&self) {
        self.read_state
            .store(ReadState::Over as u8, Ordering::Release);
    }

    /// Has the reader, whoever it is, look again.
    pub(crate) fn resume_reading(&self, ops: &impl ReaderOps) {
        // Behind what the caller changed: either the new place is seen here, or the change by whoever
        // gave the connection to the loop.
        fence(Ordering::SeqCst);
        if self.kind() == ReaderKind::Loop {
            self.resume_in_loop(ops);
        } else {
            self.wake_task(ops);
        }
    }

    fn resume_in_loop(&self, ops: &impl ReaderOps) {
        // Whoever lets it flow attends to it.
        if self.read_state() != ReadState::Flowing {
            return;
        }
        let Some(stream) = ops.stream() else {
            return;
        };
        if !ops.watch(&stream) {
            // No room for it there (a limit of the system): the runtime has room for all.
            self.kind
                .store(ReaderKind::Runtime as u8, Ordering::Release);
            ops.unwatch(&stream);
            self.wake_task(ops);
        } else if self.kind() != ReaderKind::Loop || self.read_state() != ReadState::Flowing {
            // Taken over by the runtime, closed or paused meanwhile.
            ops.unwatch(&stream);
            self.recheck(ops);
        }
    }

    // ---- by whom --------------------------------------------------------------------------

    /// The event loop's thread found that it is not to read this: it must not be watched then.
    pub(crate) fn stop_watching(&self, ops: &impl ReaderOps) {
        if let Some(stream) = ops.stream() {
            ops.unwatch(&stream);
            self.recheck(ops);
        }
    }

    /// Behind taking a registration away: it may have been somebody's who has just been reported to go on.
    fn recheck(&self, ops: &impl ReaderOps) {
        if self.read_state() == ReadState::Flowing && !ops.is_backpressured() {
            self.resume_reading(ops);
        }
    }

    /// The event loop's thread reads from now on.
    pub(crate) fn move_to_loop(&self, ops: &impl ReaderOps) {
        self.kind.store(ReaderKind::Loop as u8, Ordering::Release);
        fence(Ordering::SeqCst);
        self.resume_in_loop(ops);
    }

    /// The runtime reads from now on.
    pub(crate) fn move_to_runtime(&self, ops: &impl ReaderOps) {
        self.kind
            .store(ReaderKind::Runtime as u8, Ordering::Release);
        if let Some(stream) = ops.stream() {
            ops.unwatch(&stream);
        }
        // The task may have had it and given it back in between.
        self.resume_reading(ops);
    }

    // ---- the task -------------------------------------------------------------------------

    /// Tells the task that what it waits for has changed; starts one if there is none.
    pub(crate) fn wake_task(&self, ops: &impl ReaderOps) {
        if self.task_running.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        } else {
            ops.start_task();
        }
    }

    /// Whether the connection is open, and only the poller has any use for it.
    pub(crate) fn is_idle(&self, ops: &impl ReaderOps) -> bool {
        !self.is_closed() && self.kind() == ReaderKind::Loop && !ops.is_pending()
    }

    /// Lets an idle task go. If something came up just then, the task stays and looks at everything once more, or
    /// whoever brought it up has started another.
    pub(crate) fn try_park(&self, ops: &impl ReaderOps) -> bool {
        // A swap: if somebody nudged before it, what made them do so is seen behind it.
        self.task_running.swap(false, Ordering::AcqRel);
        self.is_idle(ops) || self.task_running.swap(true, Ordering::AcqRel)
    }

    // ---- the end --------------------------------------------------------------------------

    /// The connection is closed: its task ends, and lets go of the descriptor.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // A task that is not seen here has ended, or is about to. (A swap, where a load might miss one that stays.)
        if self.task_running.fetch_or(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }
}
