//! The tokio runtime of the process.

use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

/// The number of worker threads, unless `SOCKHOP_THREADS` sets another.
pub const DEFAULT_THREADS: usize = 2;

/// Larger values of `SOCKHOP_THREADS` are ignored.
const MAX_THREADS: usize = 256;

/// How long the runtime may take to start. Its threads have been tried out before, so it starts at
/// once.
const START_TIME: Duration = Duration::from_secs(10);

/// The error number of a system that refuses further threads.
const EAGAIN: i32 = if cfg!(target_vendor = "apple") {
    35
} else if cfg!(windows) {
    10035 // WSAEWOULDBLOCK
} else {
    11
};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, which is started at the first call and shared by all environments (workers) of the
/// process.
///
/// Listening and connecting start it first. Later steps may need it when there is no descriptor
/// left to start it with.
pub fn start() -> io::Result<&'static Handle> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let _one_at_a_time = STARTING.lock();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    #[cfg(feature = "tracing")]
    crate::trace::start();
    let runtime = build()?;
    Ok(RUNTIME.get_or_init(|| runtime).handle())
}

/// Spawns a task. It fails only if [`start`] fails, so never for code that runs after listening or
/// connecting.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<AbortHandle> {
    Ok(start()?.spawn(task).abort_handle())
}

/// Starts the runtime, or returns the reason why that fails.
///
/// tokio panics if it gets no thread, and waits forever if it gets some threads and not all. So the
/// threads are tried out first, and tokio is started on a thread that can be abandoned.
fn build() -> io::Result<Runtime> {
    let count = threads(std::env::var("SOCKHOP_THREADS").ok().as_deref());
    try_threads(count + 1)?;
    let (started, result) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("sockhop-start".into())
        .spawn(move || started.send(build_with(count)))?;
    // A panic of that thread drops the sender.
    let refused = |_| io::Error::from_raw_os_error(EAGAIN);
    result.recv_timeout(START_TIME).map_err(refused)?
}

/// Checks that the system allows `count` threads.
fn try_threads(count: usize) -> io::Result<()> {
    let all = Mutex::new(());
    let until_all = all.lock();
    thread::scope(|scope| {
        let tried: io::Result<Vec<_>> = (0..count)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || drop(all.lock())))
            .collect();
        drop(until_all);
        tried.map(drop)
    })
}

fn build_with(threads: usize) -> io::Result<Runtime> {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name_fn(|| format!("sockhop-{}", NAMES.fetch_add(1, Ordering::Relaxed)))
        .enable_io()
        .enable_time()
        .build()
}

/// A task that ends when this is dropped. Only the poller of Linux has one.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct OwnedTask(AbortHandle);

#[cfg(target_os = "linux")]
impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Like [`spawn`], for a task that ends when the result is dropped.
#[cfg(target_os = "linux")]
pub(crate) fn spawn_owned(
    task: impl Future<Output = ()> + Send + 'static,
) -> io::Result<OwnedTask> {
    spawn(task).map(OwnedTask)
}

/// The number of worker threads that `SOCKHOP_THREADS` sets; the default if the value is invalid.
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
