//! Named pipes of Windows.
//!
//! A pipe has several instances of one name, each for one connection. A server has one instance
//! that waits for a client, and makes the next one when that is connected. A client that finds none
//! waits a moment.
//!
//! A pipe has no end of one direction. As in libuv, the side that has ended its direction continues
//! to read while bytes arrive, and then treats the connection as ended. The peer sees the end when
//! the pipe is closed.

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
use tokio::runtime::Handle;
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

/// The names of pipes begin with one of these, in upper or lower case and with either slash.
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

/// The bytes that a pipe takes before the system has them. It is the buffer that the kernel has for
/// a socket.
const BUFFER: usize = 64 * 1024;

/// How long a pipe still writes, after it was closed, the bytes that it has taken.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// One end of a connected pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    shared: Arc<Shared>,
    /// This side has ended its direction.
    has_ended: AtomicBool,
    /// Notifies a waiting reader.
    ending: Notify,
    /// No byte came for some time after that, so the connection is over.
    is_over: AtomicBool,
    runtime: Handle,
}

/// The state that a pipe and its writing task share. The pipe is closed when both have dropped it.
#[derive(Debug)]
struct Shared {
    end: End,
    outgoing: Mutex<Outgoing>,
    /// Notifies that there is room for further bytes.
    room: Notify,
    /// Notifies that the pipe is closed, apart from the bytes that wait.
    closing: Notify,
}

#[derive(Debug)]
enum End {
    /// The task of the listener may hold it for a moment.
    Server(Arc<NamedPipeServer>),
    Client(NamedPipeClient),
}

/// Bytes that wait for the system, which has one write of a pipe at a time.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// A task writes them.
    is_writing: bool,
    /// Why the task could not write them. It is reported by the next call.
    error: Option<io::Error>,
}

impl Shared {
    async fn ready(&self, interest: Interest) -> io::Result<()> {
        match &self.end {
            End::Server(pipe) => pipe.ready(interest).await?,
            End::Client(pipe) => pipe.ready(interest).await?,
        };
        Ok(())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.end {
            End::Server(pipe) => pipe.try_write(bytes),
            End::Client(pipe) => pipe.try_write(bytes),
        }
    }

    /// The writing task. A peer that does not read holds it while the pipe is open, and for a
    /// limited time after that.
    async fn write(self: Arc<Self>) {
        tokio::select! {
            () = self.write_all() => {}
            () = async {
                self.closing.notified().await;
                tokio::time::sleep(LONGEST_WRITE).await;
            } => {}
        }
    }

    /// Writes the bytes that wait, until there are none.
    async fn write_all(&self) {
        loop {
            let ready = self.ready(Interest::WRITABLE).await;
            let mut outgoing = self.outgoing.lock();
            let written = ready.and_then(|()| self.try_write(&outgoing.bytes));
            match written {
                Ok(count) => {
                    outgoing.bytes.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    outgoing.bytes.clear();
                    outgoing.error = Some(error);
                }
            }
            outgoing.is_writing = !outgoing.bytes.is_empty();
            self.room.notify_one();
            if !outgoing.is_writing {
                return;
            }
        }
    }
}

impl Pipe {
    /// The caller is in the context of the runtime.
    fn new(end: End) -> Self {
        Self {
            shared: Arc::new(Shared {
                end,
                outgoing: Mutex::default(),
                room: Notify::new(),
                closing: Notify::new(),
            }),
            has_ended: AtomicBool::new(false),
            ending: Notify::new(),
            is_over: AtomicBool::new(false),
            runtime: Handle::current(),
        }
    }

    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match &self.shared.end {
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

    /// Takes bytes, which are written even if the pipe is closed in the meantime.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(bytes)])
    }

    pub(crate) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut outgoing = self.shared.outgoing.lock();
        if let Some(error) = outgoing.error.take() {
            return Err(error);
        }
        let mut taken = 0;
        for piece in pieces {
            let count = piece.len().min(BUFFER - outgoing.bytes.len());
            outgoing.bytes.extend_from_slice(&piece[..count]);
            taken += count;
        }
        if taken == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !outgoing.is_writing {
            match self.shared.try_write(&outgoing.bytes) {
                Ok(count) => {
                    outgoing.bytes.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if !outgoing.bytes.is_empty() {
                outgoing.is_writing = true;
                self.runtime.spawn(Arc::clone(&self.shared).write());
            }
        }
        Ok(taken)
    }

    /// Ends the sending direction: the reader treats the connection as ended when no more bytes
    /// come.
    pub(crate) fn shutdown_write(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.ending.notify_one();
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<()> {
        if !interest.is_readable() {
            return self.has_room().await;
        }
        if !self.has_ended.load(Ordering::Acquire) {
            tokio::select! {
                result = self.shared.ready(interest) => return result,
                () = self.ending.notified() => {}
            }
        }
        let waiting = tokio::time::timeout(SILENCE, self.shared.ready(interest));
        if let Ok(result) = waiting.await {
            return result;
        }
        self.is_over.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits until it takes further bytes.
    async fn has_room(&self) -> io::Result<()> {
        loop {
            {
                let outgoing = self.shared.outgoing.lock();
                if outgoing.error.is_some() || outgoing.bytes.len() < BUFFER {
                    return Ok(());
                }
            }
            self.shared.room.notified().await;
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
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
        // This polls a future of its own, because the future of the listener's task would forget
        // its waker. It also polls for a client that is known to have connected, because the task
        // may not have begun to wait.
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

    /// Waits until a client has connected. A client that has left in the meantime counts: reading
    /// finds its end.
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
