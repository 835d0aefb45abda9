//! The events of one JavaScript environment, the poller that reads on its event loop, and the tokio
//! runtime of the process. This layer knows connections only by the traits that they implement.
//!
//! ```text
//! environment       state of all connections of one JavaScript environment: owns the others
//!   queue           the events that JavaScript has not taken yet
//!     batch         a part of them, the unit that crosses the border
//!     event         a single one
//!     error         the errors that events report
//!     receive_window   stops and resumes readers at a mark
//!   poller          reads quiet connections on the thread of JavaScript
//! runtime           the tokio runtime of the process
//! ```

pub mod batch;
pub mod environment;
pub mod error;
pub mod event;
pub mod poller;
pub mod queue;
pub(crate) mod receive_window;
pub mod runtime;

#[cfg(all(test, sockhop_loom))]
mod loom;
