//! The one tokio runtime of the process.

use parking_lot::Mutex;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// Worker threads unless `SOCKHOP_THREADS` says otherwise.
pub const DEFAULT_THREADS: usize = 2;

/// More threads than this is a typing error, not a wish.
const MAX_THREADS: usize = 256;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, started at the first call and shared by every environment (worker) of the process.
///
/// Whoever listens or connects begins with this: what comes of it may need the runtime when there is no descriptor left
/// to start it with.
pub fn start() -> io::Result<&'static Handle> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let _one_at_a_time = STARTING.lock();
    if RUNTIME.get().is_none() {
        let runtime = build()?;
        RUNTIME.get_or_init(|| runtime);
    }
    Ok(handle())
}

/// The same, for what comes of listening and connecting.
///
/// # Panics
/// If it does not run yet, and the operating system refuses what it needs.
pub fn handle() -> &'static Handle {
    start().expect("the runtime of sockhop-native needs threads and descriptors")
}

fn build() -> io::Result<Runtime> {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(threads(std::env::var("SOCKHOP_THREADS").ok().as_deref()))
        .thread_name_fn(|| format!("sockhop-{}", NAMES.fetch_add(1, Ordering::Relaxed)))
        .enable_io()
        .enable_time()
        .build()
}

/// A task that runs at an interval until it is replaced or dropped.
#[derive(Debug)]
pub(super) struct Ticker(AbortHandle);

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Calls `beat` every `period`, first after one period, while it answers true.
pub(super) fn every(period: Duration, mut beat: impl FnMut() -> bool + Send + 'static) -> Ticker {
    let task = handle().spawn(async move {
        let mut interval = tokio::time::interval_at(Instant::now() + period, period);
        // After a pause of the whole machine one beat is enough.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if !beat() {
                return;
            }
        }
    });
    Ticker(task.abort_handle())
}

/// How many worker threads the text of `SOCKHOP_THREADS` asks for; nonsense is the default.
fn threads(setting: Option<&str>) -> usize {
    setting
        .and_then(|text| text.trim().parse().ok())
        .filter(|count| (1..=MAX_THREADS).contains(count))
        .unwrap_or(DEFAULT_THREADS)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_THREADS, threads};

    #[test]
    fn the_variable_sets_the_number_of_threads() {
        assert_eq!(threads(Some("1")), 1);
        assert_eq!(threads(Some(" 8 ")), 8);
    }

    #[test]
    fn nonsense_in_the_variable_is_the_default() {
        for text in [
            None,
            Some(""),
            Some("0"),
            Some("-1"),
            Some("many"),
            Some("100000"),
        ] {
            assert_eq!(threads(text), DEFAULT_THREADS, "{text:?}");
        }
    }
}
