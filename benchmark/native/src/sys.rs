//! The system calls of the generator, with errors instead of return codes.

use std::error::Error;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The address of the server under test, for `connect` and `bind`.
pub enum Address {
    Tcp(libc::sockaddr_in),
    Unix(libc::sockaddr_un),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(port) = text.strip_prefix("tcp:") {
            // SAFETY: all zeroes is a valid sockaddr_in.
            let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_port = port.parse::<u16>()?.to_be();
            address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
            return Ok(Self::Tcp(address));
        }
        let path = text
            .strip_prefix("unix:")
            .ok_or("an address is tcp:<port> or unix:<path>")?;
        // SAFETY: all zeroes is a valid sockaddr_un.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        if path.len() >= address.sun_path.len() {
            return Err("the socket path is too long".into());
        }
        for (slot, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
            *slot = byte as libc::c_char;
        }
        Ok(Self::Unix(address))
    }

    fn raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        match self {
            Self::Tcp(a) => (
                std::ptr::from_ref(a).cast(),
                size_of_val(a) as libc::socklen_t,
            ),
            Self::Unix(a) => (
                std::ptr::from_ref(a).cast(),
                size_of_val(a) as libc::socklen_t,
            ),
        }
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        let family = match self {
            Self::Tcp(_) => libc::AF_INET,
            Self::Unix(_) => libc::AF_UNIX,
        };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: the call takes no pointers; the result is checked below.
        let fd = check(unsafe { libc::socket(family, kind, 0) })?;
        // SAFETY: `fd` is new, and nothing else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Connects and makes the socket non-blocking. The call itself blocks, briefly on the loopback.
    pub fn connect(&self) -> io::Result<OwnedFd> {
        let socket = self.socket()?;
        let (address, length) = self.raw();
        // SAFETY: `address` points to `length` valid bytes for the time of the call.
        check(unsafe { libc::connect(socket.as_raw_fd(), address, length) })?;
        prepare(socket.as_raw_fd(), matches!(self, Self::Tcp(_)))?;
        Ok(socket)
    }

    pub fn listen(&self) -> io::Result<OwnedFd> {
        let socket = self.socket()?;
        if matches!(self, Self::Tcp(_)) {
            set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
        }
        let (address, length) = self.raw();
        // SAFETY: `address` points to `length` valid bytes for the time of the call.
        check(unsafe { libc::bind(socket.as_raw_fd(), address, length) })?;
        check(unsafe { libc::listen(socket.as_raw_fd(), 4096) })?;
        prepare(socket.as_raw_fd(), false)?;
        Ok(socket)
    }

    /// Accepts one connection, or returns `None` if none waits.
    pub fn accept(&self, listener: &OwnedFd) -> io::Result<Option<OwnedFd>> {
        // SAFETY: the address may be null if it is not needed.
        let fd = unsafe {
            let null = std::ptr::null_mut();
            libc::accept(listener.as_raw_fd(), null, std::ptr::null_mut())
        };
        match check(fd) {
            Ok(fd) => {
                // SAFETY: `fd` is new, and nothing else owns it.
                let socket = unsafe { OwnedFd::from_raw_fd(fd) };
                prepare(fd, matches!(self, Self::Tcp(_)))?;
                Ok(Some(socket))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn check(value: libc::c_int) -> io::Result<libc::c_int> {
    if value < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

fn set_option(fd: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: `on` outlives the call and `length` is its size.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const on).cast(), length) })?;
    Ok(())
}

/// Makes a socket non-blocking, and turns Nagle's algorithm off for TCP.
fn prepare(fd: RawFd, tcp: bool) -> io::Result<()> {
    // SAFETY: the caller owns the descriptor, and the calls take no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    if tcp {
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
    }
    Ok(())
}

/// `Ok(None)` when it would block, `Ok(Some(0))` when the peer has closed.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the pointer and the length are those of one live slice.
    let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    outcome(n)
}

/// `Ok(None)` when the socket buffer is full.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: the pointer and the length are those of one live slice.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    outcome(n)
}

/// Ends the sending direction.
pub fn end(fd: RawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_WR) }).map(drop)
}

fn outcome(n: isize) -> io::Result<Option<usize>> {
    if n >= 0 {
        return Ok(Some(n as usize));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

/// An epoll instance. The caller chooses a number as the key of each descriptor.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

#[derive(Clone, Copy)]
pub enum Interest {
    Read,
    ReadWrite,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the descriptor is new, and nothing else owns it.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            epoll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024],
        })
    }

    pub fn add(&self, fd: RawFd, key: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, Interest::Read)
    }

    pub fn change(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, interest)
    }

    fn control(&self, what: libc::c_int, fd: RawFd, key: u64, i: Interest) -> io::Result<()> {
        let events = match i {
            Interest::Read => libc::EPOLLIN,
            Interest::ReadWrite => libc::EPOLLIN | libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: key,
        };
        // SAFETY: `event` lives for the time of the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits and appends the keys with events to `ready`; `None` waits without a limit.
    pub fn wait(&mut self, ready: &mut Vec<u64>, patience: Option<Duration>) -> io::Result<()> {
        let ms = patience.map_or(-1, |p| p.as_millis().min(60_000) as libc::c_int);
        let room = self.events.len() as libc::c_int;
        // SAFETY: `events` has `room` writable elements.
        let n =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, ms) };
        match check(n) {
            Ok(n) => ready.extend(self.events[..n as usize].iter().map(|event| event.u64)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Processor time of this process so far, user and system, in microseconds.
pub fn cpu_us() -> u64 {
    // SAFETY: `usage` is written by the call and all zeroes is valid.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

/// Raises the soft limit of open files to the hard limit and returns it.
pub fn raise_file_limit() -> u64 {
    // SAFETY: `limit` is a valid rlimit for both calls.
    unsafe {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        limit.rlim_cur
    }
}

/// Reads lines from standard input without blocking.
pub struct Lines {
    pending: Vec<u8>,
    pub ended: bool,
}

/// The key under which standard input is registered.
pub const STDIN: u64 = u64::MAX;

impl Lines {
    pub fn open(poll: &Poll) -> io::Result<Self> {
        prepare(0, false)?;
        poll.add(0, STDIN)?;
        Ok(Self {
            pending: Vec::new(),
            ended: false,
        })
    }

    /// Returns the lines that have arrived; sets `ended` at the end of the input.
    pub fn take(&mut self) -> io::Result<Vec<String>> {
        let mut chunk = [0; 65_536];
        loop {
            match read(0, &mut chunk)? {
                Some(0) => {
                    self.ended = true;
                    break;
                }
                Some(n) => self.pending.extend_from_slice(&chunk[..n]),
                None => break,
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        Ok(lines)
    }
}

/// Decodes hexadecimal bytes; `-` stands for none.
pub fn hex(text: &str) -> Result<Vec<u8>> {
    if text == "-" {
        return Ok(Vec::new());
    }
    if !text.len().is_multiple_of(2) {
        return Err("an odd number of hexadecimal digits".into());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(Into::into))
        .collect()
}

/// Finds the value of `name=` in a command.
pub fn field<T: std::str::FromStr>(words: &[&str], name: &str) -> Result<T> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .ok_or_else(|| format!("{name}= is missing"))?
        .parse()
        .map_err(|_| format!("{name}= cannot be read").into())
}
