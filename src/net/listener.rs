//! Accepts connections at one address.

use super::connection::Connection;
use super::error::SystemError;
use super::linger::Seats;
use super::mailbox::{Event, Mailbox};
use super::outbox::Token;
use super::pairing;
use super::runtime;
use super::settings::Settings;
use super::stream::{Address, Stream, new_socket, watch};
use parking_lot::Mutex;
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

/// Connections accepted before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// How long to wait after the system had no descriptor or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A listening socket.
pub struct Listener {
    id: u32,
    address: Address,
    settings: Arc<Settings>,
    mailbox: Arc<Mailbox>,
    /// `None` once closed.
    socket: Mutex<Option<Arc<Socket>>>,
    task: Mutex<Option<AbortHandle>>,
    /// `max_connections`, and the descriptors that count against it.
    seats: Arc<Seats>,
    /// Every connection of this listener that is not closed holds a reference.
    places: Arc<()>,
    /// The system could not give the last connection a descriptor, and that was told.
    short: AtomicBool,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("id", &self.id)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

struct ListenerFd(Arc<Socket>);

impl AsRawFd for ListenerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Listener {
    /// Binds `address` and accepts from now on. `id` comes back in the events.
    ///
    /// # Errors
    /// What the system says, as the system call `listen`, which is what Node calls the whole.
    pub fn listen(
        id: u32,
        address: &Address,
        backlog: i32,
        settings: Arc<Settings>,
        mailbox: Arc<Mailbox>,
    ) -> Result<Arc<Self>, SystemError> {
        let failed = |error: io::Error| SystemError::new("listen", &error);
        runtime::start().map_err(failed)?;
        let socket = new_socket(address).map_err(failed)?;
        if matches!(address, Address::Inet(_)) {
            // A port in TIME_WAIT may be bound again, as every server does.
            socket.set_reuse_address(true).map_err(failed)?;
        }
        socket
            .bind(&address.to_sock_addr().map_err(failed)?)
            .map_err(failed)?;
        socket.listen(backlog).map_err(failed)?;
        let bound = match address {
            Address::Inet(_) => {
                let bound = socket.local_addr().map_err(failed)?;
                bound
                    .as_socket()
                    .map_or_else(|| address.clone(), Address::Inet)
            }
            Address::Unix(_) => address.clone(),
        };
        let socket = Arc::new(socket);
        let listener = Arc::new(Self {
            id,
            address: bound,
            settings,
            mailbox,
            socket: Mutex::new(Some(Arc::clone(&socket))),
            task: Mutex::new(None),
            seats: Seats::new(),
            places: Arc::new(()),
            short: AtomicBool::new(false),
        });
        pairing::lock().add(&listener);
        if let Some(poller) = listener.mailbox.poller() {
            poller.add_listener(&listener, &socket).map_err(failed)?;
        } else {
            let fd = {
                // Registering a descriptor needs the runtime's context.
                let _context = runtime::handle().enter();
                watch(ListenerFd(socket), Interest::READABLE).map_err(failed)?
            };
            let task = runtime::handle().spawn(accept_loop(Arc::downgrade(&listener), fd));
            *listener.task.lock() = Some(task.abort_handle());
        }
        Ok(listener)
    }

    /// A listener whose connections somebody else accepts and hands to [`adopt`](Self::adopt).
    pub fn elsewhere(
        id: u32,
        settings: Arc<Settings>,
        mailbox: Arc<Mailbox>,
    ) -> Result<Arc<Self>, SystemError> {
        runtime::start().map_err(|error| SystemError::new("listen", &error))?;
        Ok(Arc::new(Self {
            id,
            address: Address::Unix(None),
            settings,
            mailbox,
            socket: Mutex::new(None),
            task: Mutex::new(None),
            seats: Seats::new(),
            places: Arc::new(()),
            short: AtomicBool::new(false),
        }))
    }

    /// Takes over a connection that was accepted elsewhere, and of which nothing was read. `None` if
    /// there are as many as there may be: then it is closed.
    ///
    /// # Errors
    /// What the system says if this is no socket that can be served.
    pub fn adopt(&self, socket: Socket) -> io::Result<Option<Arc<Connection>>> {
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.is_full() {
            return Ok(None);
        }
        Ok(Some(self.open(Stream::new(socket)?)))
    }

    fn is_full(&self) -> bool {
        self.seats.are_taken(self.connection_count())
    }

    fn open(&self, stream: Stream) -> Arc<Connection> {
        let place: Token = Arc::clone(&self.places) as Token;
        Connection::open(
            stream.seated(&self.seats),
            Arc::clone(&self.settings),
            Arc::clone(&self.mailbox),
            Some(place),
        )
    }

    /// Comes back in the events.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many connections may be open at a time.
    pub fn set_max_connections(&self, max: usize) {
        self.seats.set_max(max);
    }

    /// Who is told of its connections.
    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// How many connections it accepted that are not closed.
    pub fn connection_count(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    /// Accepts no more and frees the address. Connections stay.
    pub fn close(&self) {
        let _order = pairing::lock();
        let Some(socket) = self.socket.lock().take() else {
            return;
        };
        if let Some(poller) = self.mailbox.poller() {
            poller.remove_listener(self.id, &socket);
        }
        // The task lets go of the descriptor at its leisure; the address must be free now.
        let _ = socket.shutdown(std::net::Shutdown::Both);
        drop(socket);
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        if let Address::Unix(Some(path)) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Takes connections that wait in the kernel, and appends what is to be told of them to
    /// `events`. The caller holds the pairing lock. Answers whether the queue was emptied.
    pub(super) fn accept_waiting(&self, events: &mut Vec<Event>) -> Result<bool, SystemError> {
        let Some(socket) = self.socket.lock().clone() else {
            return Ok(true);
        };
        for _ in 0..ACCEPT_BATCH {
            match socket.accept() {
                Ok((accepted, _)) => {
                    if self.is_full() {
                        drop(accepted);
                        events.push(Event::Refused(self.id));
                        continue;
                    }
                    let Ok(stream) = Stream::new(accepted) else {
                        continue;
                    };
                    events.push(Event::Accepted {
                        listener: self.id,
                        connection: self.open(stream),
                    });
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(true),
                    // The peer gave up while it waited, or a signal came.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return Err(SystemError::new("accept", &error)),
                },
            }
        }
        Ok(false)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl Listener {
    /// Accepts what waits, and tells of it. Answers whether nothing is left.
    fn accept(&self) -> Result<bool, SystemError> {
        let _order = pairing::lock();
        let mut events = Vec::new();
        let result = self.accept_waiting(&mut events);
        self.mailbox.post_all(events);
        result
    }

    /// No descriptor, no memory: the queue stays in the kernel. Told once a shortage.
    fn tell_shortage(&self, error: SystemError) {
        if !self.short.swap(true, Ordering::Relaxed) {
            self.mailbox.post(Event::ListenerFailed {
                listener: self.id,
                error,
            });
        }
    }

    /// Accepts on the event loop's thread.
    pub(super) fn accept_in_loop(self: &Arc<Self>) {
        match self.accept() {
            Ok(_) => self.short.store(false, Ordering::Relaxed),
            Err(error) => {
                self.tell_shortage(error);
                self.rest_in_loop();
            }
        }
    }

    /// Not to be watched for a while: it would be ready all the time.
    fn rest_in_loop(self: &Arc<Self>) {
        let (Some(poller), Some(socket)) = (self.mailbox.poller(), self.socket.lock().clone())
        else {
            return;
        };
        poller.remove_listener(self.id, &socket);
        let listener = Arc::downgrade(self);
        runtime::handle().spawn(async move {
            tokio::time::sleep(ACCEPT_RETRY).await;
            let Some(listener) = listener.upgrade() else {
                return;
            };
            let socket = listener.socket.lock();
            if let (Some(poller), Some(socket)) = (listener.mailbox.poller(), socket.as_ref()) {
                // It was there before, so there is room for it.
                let _ = poller.add_listener(&listener, socket);
            }
        });
    }
}

async fn accept_loop(listener: std::sync::Weak<Listener>, fd: AsyncFd<ListenerFd>) {
    loop {
        let Ok(mut ready) = fd.readable().await else {
            return;
        };
        let Some(listener) = listener.upgrade() else {
            return;
        };
        match listener.accept() {
            Ok(drained) => {
                listener.short.store(false, Ordering::Relaxed);
                if drained {
                    ready.clear_ready();
                } else {
                    // Clients may come as fast as they are accepted.
                    drop(listener);
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                listener.tell_shortage(error);
                drop(listener);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
