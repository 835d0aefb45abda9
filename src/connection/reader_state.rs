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
pub(crate) enum Flow {
    /// Not yet: the program has not been told of the connection.
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
pub(crate) enum Place {
    /// The task, on the runtime.
    Runtime,
    /// The thread of the JavaScript environment, through the mailbox's poller.
    Loop,
}

/// What the switch asks of its connection.
pub(crate) trait Body {
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
    fn is_stalled(&self) -> bool;
    /// Starts a task, if the connection still has a stream. The caller may hold locks of the connection.
    fn start_task(&self);
}

/// The state.
pub(crate) struct Switch {
    /// A [`Flow`].
    flow: AtomicU8,
    /// A [`Place`].
    place: AtomicU8,
    closed: AtomicBool,
    /// There is a task. A quiet connection has none: nobody waits for it but the poller.
    driven: AtomicBool,
    /// Tells the task that what it waits for has changed.
    wake: Notify,
}

impl Switch {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            flow: AtomicU8::new(Flow::Held as u8),
            place: AtomicU8::new(place as u8),
            closed: AtomicBool::new(false),
            driven: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(crate) fn flow(&self) -> Flow {
        match self.flow.load(Ordering::Acquire) {
            0 => Flow::Held,
            1 => Flow::Flowing,
            2 => Flow::Paused,
            _ => Flow::Over,
        }
    }

    pub(crate) fn place(&self) -> Place {
        if self.place.load(Ordering::Acquire) == Place::Loop as u8 {
            Place::Loop
        } else {
            Place::Runtime
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
    pub(crate) fn change_flow(&self, body: &impl Body, from: Flow, to: Flow) {
        let changed =
            self.flow
                .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
        if changed.is_ok() && to == Flow::Flowing {
            self.attend(body);
        }
    }

    /// Nothing more is read.
    pub(crate) fn stop(&self) {
        self.flow.store(Flow::Over as u8, Ordering::Release);
    }

    /// Has the reader, whoever it is, look again.
    pub(crate) fn attend(&self, body: &impl Body) {
        // Behind what the caller changed: either the new place is seen here, or the change by whoever
        // gave the connection to the loop.
        fence(Ordering::SeqCst);
        if self.place() == Place::Loop {
            self.attend_in_loop(body);
        } else {
            self.nudge(body);
        }
    }

    fn attend_in_loop(&self, body: &impl Body) {
        // Whoever lets it flow attends to it.
        if self.flow() != Flow::Flowing {
            return;
        }
        let Some(stream) = body.stream() else {
            return;
        };
        if !body.watch(&stream) {
            // No room for it there (a limit of the system): the runtime has room for all.
            self.place.store(Place::Runtime as u8, Ordering::Release);
            body.unwatch(&stream);
            self.nudge(body);
        } else if self.place() != Place::Loop || self.flow() != Flow::Flowing {
            // Taken over by the runtime, closed or paused meanwhile.
            body.unwatch(&stream);
            self.look_again(body);
        }
    }

    // ---- by whom --------------------------------------------------------------------------

    /// The event loop's thread found that it is not to read this: it must not be watched then.
    pub(crate) fn stop_in_loop(&self, body: &impl Body) {
        if let Some(stream) = body.stream() {
            body.unwatch(&stream);
            self.look_again(body);
        }
    }

    /// Behind taking a registration away: it may have been somebody's who has just been told to go on.
    fn look_again(&self, body: &impl Body) {
        if self.flow() == Flow::Flowing && !body.is_stalled() {
            self.attend(body);
        }
    }

    /// The event loop's thread reads from now on.
    pub(crate) fn join_loop(&self, body: &impl Body) {
        self.place.store(Place::Loop as u8, Ordering::Release);
        fence(Ordering::SeqCst);
        self.attend_in_loop(body);
    }

    /// The runtime reads from now on.
    pub(crate) fn leave_loop(&self, body: &impl Body) {
        self.place.store(Place::Runtime as u8, Ordering::Release);
        if let Some(stream) = body.stream() {
            body.unwatch(&stream);
        }
        // The task may have had it and given it back in between.
        self.attend(body);
    }

    // ---- the task -------------------------------------------------------------------------

    /// Tells the task that what it waits for has changed; starts one if there is none.
    pub(crate) fn nudge(&self, body: &impl Body) {
        if self.driven.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        } else {
            body.start_task();
        }
    }

    /// Whether the connection is open, and only the poller has any use for it.
    pub(crate) fn is_idle(&self, body: &impl Body) -> bool {
        !self.is_closed() && self.place() == Place::Loop && !body.is_pending()
    }

    /// Lets an idle task go. If something came up just then, the task stays and looks at everything once more, or
    /// whoever brought it up has started another.
    pub(crate) fn may_rest(&self, body: &impl Body) -> bool {
        // A swap: if somebody nudged before it, what made them do so is seen behind it.
        self.driven.swap(false, Ordering::AcqRel);
        self.is_idle(body) || self.driven.swap(true, Ordering::AcqRel)
    }

    // ---- the end --------------------------------------------------------------------------

    /// The connection is closed: its task ends, and lets go of the descriptor.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // A task that is not seen here has ended, or is about to. (A swap, where a load might miss one that stays.)
        if self.driven.fetch_or(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }
}
