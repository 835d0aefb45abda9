//! Named pipes of Windows.
//!
//! A pipe has several instances of one name, each for one connection. A server has one instance that
//! waits for a client, and makes the next one when that is connected. A client that finds none waits
//! a moment.
//!
//! A pipe has no end of one direction. As libuv does, the side that has ended its direction reads on
//! while bytes arrive, and then takes the connection for ended; closing it is the end for the peer.

use parking_lot::Mutex;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::windows::named_pipe::{
    ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
};
use tokio::sync::Notify;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_NAME, ERROR_PATH_NOT_FOUND,
    ERROR_PIPE_BUSY,
};
use windows_sys::Win32::Networking::WinSock::{WSAEACCES, WSAEADDRINUSE};

/// How long a side that has ended its direction waits for further bytes, as libuv does.
const SILENCE: Duration = Duration::from_millis(50);

/// The pause before a client looks again for an instance that waits.
const RETRY: Duration = Duration::from_millis(5);

/// The names of pipes are below one of these, in any case and with either slash.
const PREFIXES: [&str; 2] = [r"\\.\pipe\", r"\\?\pipe\"];

fn is_pipe_name(path: &str) -> bool {
    let begin: String = path.chars().take(9).collect();
    let begin = begin.replace('/', r"\").to_ascii_lowercase();
    PREFIXES.contains(&begin.as_str()) && path.len() > begin.len()
}

fn code_of(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}

fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// One end of a connected pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    end: End,
    /// This side has ended its direction.
    has_ended: AtomicBool,
    /// Tells a reader that waits.
    ending: Notify,
    /// No byte came for a while after that, so the connection is over.
    is_over: AtomicBool,
}

#[derive(Debug)]
enum End {
    /// The task of the listener may hold it for a moment.
    Server(Arc<NamedPipeServer>),
    Client(NamedPipeClient),
}

impl Pipe {
    fn new(end: End) -> Self {
        Self {
            end,
            has_ended: AtomicBool::new(false),
            ending: Notify::new(),
            is_over: AtomicBool::new(false),
        }
    }

    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match &self.end {
            End::Server(pipe) => pipe.try_read(buffer),
            End::Client(pipe) => pipe.try_read(buffer),
        };
        match result {
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    && self.is_over.load(Ordering::Acquire) =>
            {
                Ok(0)
            }
            result => result,
        }
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.end {
            End::Server(pipe) => pipe.try_write(bytes),
            End::Client(pipe) => pipe.try_write(bytes),
        }
    }

    pub(crate) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.end {
            End::Server(pipe) => pipe.try_write_vectored(pieces),
            End::Client(pipe) => pipe.try_write_vectored(pieces),
        }
    }

    /// Ends the sending direction: the reader takes the connection for ended when no more bytes
    /// come.
    pub(crate) fn shutdown_write(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.ending.notify_one();
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<()> {
        if !interest.is_readable() {
            return self.ready_in_kernel(interest).await;
        }
        if !self.has_ended.load(Ordering::Acquire) {
            tokio::select! {
                result = self.ready_in_kernel(interest) => return result,
                () = self.ending.notified() => {}
            }
        }
        let waiting = tokio::time::timeout(SILENCE, self.ready_in_kernel(interest));
        if let Ok(result) = waiting.await {
            return result;
        }
        self.is_over.store(true, Ordering::Release);
        Ok(())
    }

    async fn ready_in_kernel(&self, interest: Interest) -> io::Result<()> {
        match &self.end {
            End::Server(pipe) => pipe.ready(interest).await?,
            End::Client(pipe) => pipe.ready(interest).await?,
        };
        Ok(())
    }
}

/// A pipe that a client opens, or that a server has accepted.
#[derive(Debug)]
pub(crate) enum RawPipe {
    Open(Pipe),
    /// All instances of the pipe are in use.
    Busy(String),
}

impl RawPipe {
    /// Opens the pipe if an instance waits.
    pub(crate) fn open(path: &str) -> io::Result<Self> {
        if !is_pipe_name(path) {
            return Err(error(ERROR_FILE_NOT_FOUND));
        }
        match ClientOptions::new().open(path) {
            Ok(pipe) => Ok(Self::Open(Pipe::new(End::Client(pipe)))),
            Err(error) if code_of(&error) == Some(ERROR_PIPE_BUSY) => {
                Ok(Self::Busy(path.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Waits for an instance.
    pub(crate) async fn connected(self) -> io::Result<Self> {
        let mut pipe = self;
        while let Self::Busy(path) = &pipe {
            tokio::time::sleep(RETRY).await;
            pipe = Self::open(path)?;
        }
        Ok(pipe)
    }

    pub(crate) fn into_pipe(self) -> io::Result<Pipe> {
        match self {
            Self::Open(pipe) => Ok(pipe),
            Self::Busy(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// The first instance of a pipe.
#[derive(Debug)]
pub(crate) struct BoundPipe {
    path: String,
    first: NamedPipeServer,
}

impl BoundPipe {
    /// Makes the first instance, in the context of the runtime. The errors are those of libuv.
    pub(crate) fn bind(path: &str) -> io::Result<Self> {
        if !is_pipe_name(path) {
            return Err(io::Error::from_raw_os_error(WSAEACCES));
        }
        let first = ServerOptions::new()
            .first_pipe_instance(true)
            .create(path)
            .map_err(|error| match code_of(&error) {
                // Another server has the name.
                Some(ERROR_ACCESS_DENIED) => io::Error::from_raw_os_error(WSAEADDRINUSE),
                Some(ERROR_PATH_NOT_FOUND | ERROR_INVALID_NAME) => {
                    io::Error::from_raw_os_error(WSAEACCES)
                }
                _ => error,
            })?;
        Ok(Self {
            path: path.to_owned(),
            first,
        })
    }
}

/// A pipe that listens.
pub(crate) struct ListeningPipe {
    path: String,
    next: Mutex<Instance>,
}

/// The instance that the next client connects to.
struct Instance {
    pipe: Arc<NamedPipeServer>,
    connecting: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
    is_connected: bool,
    /// Wakes the task of the listener if another thread replaces the instance.
    waker: Option<Waker>,
}

impl Instance {
    fn new(pipe: NamedPipeServer) -> Self {
        let pipe = Arc::new(pipe);
        let connecting = {
            let pipe = Arc::clone(&pipe);
            Box::pin(async move { pipe.connect().await })
        };
        Self {
            pipe,
            connecting,
            is_connected: false,
            waker: None,
        }
    }
}

impl From<BoundPipe> for ListeningPipe {
    fn from(BoundPipe { path, first }: BoundPipe) -> Self {
        Self {
            path,
            next: Mutex::new(Instance::new(first)),
        }
    }
}

impl ListeningPipe {
    /// Takes the instance that a client has connected to, and makes the next one.
    pub(crate) fn accept(&self) -> io::Result<RawPipe> {
        let mut next = self.next.lock();
        // Not the future that the task of the listener polls: it would forget its waker. Also for a
        // client that is known to have connected, because the task may not have begun to wait.
        let mut context = Context::from_waker(Waker::noop());
        let is_connected = pin!(next.pipe.connect()).poll(&mut context).is_ready();
        if !is_connected && !next.is_connected {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let after = ServerOptions::new().create(&self.path)?;
        let connected = std::mem::replace(&mut *next, Instance::new(after));
        if let Some(waker) = connected.waker {
            waker.wake();
        }
        Ok(RawPipe::Open(Pipe::new(End::Server(connected.pipe))))
    }

    /// A client has connected to the only instance that waits. The runtime may not know it yet.
    pub(crate) fn expect(&self) {
        self.next.lock().is_connected = true;
    }

    /// Waits until a client has connected. A client that has gone meanwhile counts: reading finds
    /// its end.
    pub(crate) fn poll_connected(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut next = self.next.lock();
        if !next.is_connected && next.connecting.as_mut().poll(context).is_pending() {
            next.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        next.is_connected = true;
        Poll::Ready(())
    }
}
