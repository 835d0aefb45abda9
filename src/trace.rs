//! Log events for developers, by the `tracing` crate, if the cargo feature of that name is on.
//!
//! The feature is off in the published package: then [`event!`] expands to nothing. With it, events
//! go to stderr, selected by the environment variable `RUST_LOG` (such as
//! `RUST_LOG=sockhop_native=debug`).

/// Logs an event: `trace::event!(DEBUG, id = 1, "text")`.
#[cfg(feature = "tracing")]
macro_rules! event {
    ($level:ident, $($arguments:tt)*) => {
        tracing::event!(tracing::Level::$level, $($arguments)*)
    };
}
#[cfg(not(feature = "tracing"))]
macro_rules! event {
    ($level:ident, $($arguments:tt)*) => {};
}
pub(crate) use event;

/// Writes the events to stderr from now on, unless the process has another subscriber already.
#[cfg(feature = "tracing")]
pub(crate) fn start() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .try_init();
}
