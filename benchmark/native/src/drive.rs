//! Opens many connections in one thread. It floods the server under test, or counts its messages.
//!
//! Commands (each is answered by one line of JSON):
//!
//! * `open count=<n> lanes=<n>`: opens connections. Each sends the hello bytes and is open when the
//!   ready byte has arrived. At most `lanes` connections are being opened at a time, so that no
//!   accept queue overflows.
//! * `connect count=<n>`: opens connections to a server that sends no answers.
//! * `churn ms=<n> lanes=<n>`: like `open`, but closes each connection as soon as it is open.
//! * `flood ms=<n> most=<n> rate=<n> batch=<n> frame=<hex> last=<hex>`: writes `batch` frames with
//!   one system call, on one connection after another. With a `rate` (frames per second of all
//!   connections; 0 means as fast as possible) it pauses between these rounds. It ends after `ms`, or
//!   after `most` frames. At the end it sends `last` once on every connection.
//! * `await total=<n>`: answers when `n` ready bytes have arrived since the last `reset`.
//! * `reset`: sets the count to 0. `close`: closes all connections.

use crate::floor::count;
use crate::sys::{self, Address, Interest, Lines, Poll, Result, STDIN};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The round fails if the server sends nothing for this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Connection {
    socket: OwnedFd,
    /// The part of the last write that the kernel did not accept; it is sent first.
    unsent: Vec<u8>,
    /// The last write would have blocked, so epoll reports when the socket is writable.
    full: bool,
    /// Bytes read so far.
    heard: usize,
    /// Whether the second part of the hello has been sent.
    greeted: bool,
    open: bool,
}

/// The first bytes on a new connection. In some protocols the second part must wait for the server.
pub struct Hello {
    pub first: Vec<u8>,
    /// The number of bytes of the server to wait for before the rest is sent.
    pub wait: usize,
    pub rest: Vec<u8>,
}

impl Hello {
    /// `<hex>`, or `<hex>:<bytes to wait for>:<hex>`.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [first] => Ok(Self {
                first: sys::hex(first)?,
                wait: 0,
                rest: Vec::new(),
            }),
            [first, wait, rest] => Ok(Self {
                first: sys::hex(first)?,
                wait: wait.parse()?,
                rest: sys::hex(rest)?,
            }),
            _ => Err("a hello has one part or two".into()),
        }
    }
}

struct Driver {
    address: Address,
    hello: Hello,
    /// The byte that appears once in every message of the server, and nowhere else.
    ready: u8,
    poll: Poll,
    input: Lines,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Ready bytes read since the last `reset`.
    received: u64,
    buffer: Vec<u8>,
    keys: Vec<u64>,
    commands: Vec<String>,
}

pub fn run(address: &str, hello: &str, ready: &str) -> Result<()> {
    let poll = Poll::new()?;
    let input = Lines::open(&poll)?;
    let mut driver = Driver {
        address: Address::parse(address)?,
        hello: Hello::parse(hello)?,
        ready: *sys::hex(ready)?.first().ok_or("a ready byte is needed")?,
        poll,
        input,
        connections: Vec::new(),
        free: Vec::new(),
        received: 0,
        buffer: vec![0; 65_536],
        keys: Vec::new(),
        commands: Vec::new(),
    };
    println!("{{\"files\":{}}}", sys::raise_file_limit());
    loop {
        while driver.commands.is_empty() {
            if driver.input.ended {
                return Ok(());
            }
            driver.turn(None)?;
        }
        let command = driver.commands.remove(0);
        let words: Vec<&str> = command.split(' ').collect();
        let answer = match words[0] {
            "open" => driver.open(sys::field(&words, "count")?, sys::field(&words, "lanes")?)?,
            "connect" => driver.connect(sys::field(&words, "count")?)?,
            "churn" => {
                let duration = Duration::from_millis(sys::field(&words, "ms")?);
                driver.churn(duration, sys::field(&words, "lanes")?)?
            }
            "flood" => driver.flood(&words)?,
            "await" => driver.expect(sys::field(&words, "total")?)?,
            "reset" => {
                driver.received = 0;
                "{}".into()
            }
            "close" => {
                driver.connections.clear();
                driver.free.clear();
                "{}".into()
            }
            other => return Err(format!("unknown command: {other}").into()),
        };
        println!("{answer}");
    }
}

impl Driver {
    /// Waits once and handles all events. Returns the keys of connections that are now open.
    fn turn(&mut self, patience: Option<Duration>) -> Result<Vec<usize>> {
        let mut opened = Vec::new();
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        self.poll.wait(&mut keys, patience)?;
        for &key in &keys {
            if key == STDIN {
                self.commands.extend(self.input.take()?);
                continue;
            }
            let at = key as usize;
            let Some(connection) = &mut self.connections[at] else {
                continue;
            };
            flush(&self.poll, at, connection)?;
            match sys::read(connection.socket.as_raw_fd(), &mut self.buffer) {
                Ok(Some(0)) => return Err("the server has closed a connection".into()),
                Ok(Some(n)) => {
                    connection.heard += n;
                    if !connection.greeted && connection.heard >= self.hello.wait {
                        connection.greeted = true;
                        put(&self.poll, at, connection, &self.hello.rest)?;
                    }
                    let found = count(&self.buffer[..n], self.ready);
                    self.received += found;
                    if found > 0 && !connection.open {
                        connection.open = true;
                        opened.push(at);
                    }
                }
                Ok(None) => {}
                Err(error) => return Err(format!("reading: {error}").into()),
            }
        }
        self.keys = keys;
        Ok(opened)
    }

    /// Starts one connection; `false` if this machine has no free port at the moment.
    fn start(&mut self) -> Result<bool> {
        let socket = match self.address.connect() {
            Ok(socket) => socket,
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => return Ok(false),
            // A Unix socket whose accept queue is full returns this error.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(format!("connecting: {error}").into()),
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.poll.add(socket.as_raw_fd(), at as u64)?;
        let mut connection = Connection {
            socket,
            unsent: Vec::new(),
            full: false,
            heard: 0,
            greeted: self.hello.rest.is_empty(),
            open: false,
        };
        put(&self.poll, at, &mut connection, &self.hello.first)?;
        self.connections[at] = Some(connection);
        Ok(true)
    }

    fn open(&mut self, wanted: usize, lanes: usize) -> Result<String> {
        let begin = Instant::now();
        let (mut started, mut done) = (0, 0);
        let mut heard = Instant::now();
        while done < wanted {
            while started < wanted && started - done < lanes && self.start()? {
                started += 1;
            }
            let opened = self.turn(Some(Duration::from_millis(100)))?.len();
            done += opened;
            if opened > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err(format!("only {done} of {wanted} connections were answered").into());
            }
        }
        Ok(format!(
            "{{\"connections\":{done},\"ms\":{}}}",
            begin.elapsed().as_secs_f64() * 1e3
        ))
    }

    fn connect(&mut self, count: usize) -> Result<String> {
        for _ in 0..count {
            if !self.start()? {
                return Err("no port or no room for another connection".into());
            }
        }
        for connection in self.connections.iter_mut().flatten() {
            connection.open = true;
        }
        Ok(format!("{{\"connections\":{count}}}"))
    }

    fn churn(&mut self, duration: Duration, lanes: usize) -> Result<String> {
        let begin = Instant::now();
        let (mut started, mut done) = (0_usize, 0_usize);
        let mut heard = Instant::now();
        loop {
            let over = begin.elapsed() >= duration;
            if over && started == done {
                break;
            }
            while !over && started - done < lanes && self.start()? {
                started += 1;
            }
            let opened = self.turn(Some(Duration::from_millis(10)))?;
            if !opened.is_empty() {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err(format!("{done} connections were answered, then none").into());
            }
            done += opened.len();
            for at in opened {
                self.connections[at] = None;
                self.free.push(at);
            }
        }
        Ok(format!(
            "{{\"connections\":{done},\"ms\":{}}}",
            begin.elapsed().as_secs_f64() * 1e3
        ))
    }

    fn flood(&mut self, words: &[&str]) -> Result<String> {
        let duration = Duration::from_millis(sys::field(words, "ms")?);
        let most: u64 = sys::field(words, "most")?;
        let rate: f64 = sys::field(words, "rate")?;
        let batch: usize = sys::field(words, "batch")?;
        let frame = sys::hex(&sys::field::<String>(words, "frame")?)?.repeat(batch);
        let last = sys::hex(&sys::field::<String>(words, "last")?)?;
        let (cpu, begin) = (sys::cpu_us(), Instant::now());
        let mut sent = 0_u64;
        'sending: loop {
            while rate > 0.0 && sent as f64 > begin.elapsed().as_secs_f64() * rate {
                if begin.elapsed() >= duration {
                    break 'sending;
                }
                std::thread::sleep(Duration::from_micros(50));
            }
            let mut taken = 0;
            for at in 0..self.connections.len() {
                if sent >= most || (at % 64 == 0 && begin.elapsed() >= duration) {
                    break 'sending;
                }
                let Some(connection) = &mut self.connections[at] else {
                    continue;
                };
                if !connection.unsent.is_empty() {
                    continue;
                }
                if put(&self.poll, at, connection, &frame)? {
                    sent += batch as u64;
                    taken += 1;
                }
            }
            if taken == 0 {
                // Every socket buffer is full: wait until the server has read.
                self.turn(Some(Duration::from_millis(10)))?;
            }
        }
        for at in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[at] {
                connection.unsent.extend_from_slice(&last);
                flush(&self.poll, at, connection)?;
            }
        }
        let mut heard = Instant::now();
        loop {
            let left = |c: &Option<Connection>| c.as_ref().map_or(0, |c| c.unsent.len());
            let before: usize = self.connections.iter().map(left).sum();
            if before == 0 {
                break;
            }
            self.turn(Some(Duration::from_millis(10)))?;
            let after: usize = self.connections.iter().map(left).sum();
            if after < before {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err("the server has stopped reading".into());
            }
        }
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        Ok(format!(
            "{{\"sent\":{sent},\"ms\":{ms},\"cpuUs\":{}}}",
            sys::cpu_us() - cpu
        ))
    }

    fn expect(&mut self, total: u64) -> Result<String> {
        let mut heard = Instant::now();
        while self.received < total {
            let before = self.received;
            self.turn(Some(Duration::from_millis(100)))?;
            if self.received > before {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                let received = self.received;
                return Err(format!("{received} of {total} messages came, then none").into());
            }
        }
        Ok(format!(
            "{{\"received\":{},\"cpuUs\":{}}}",
            self.received,
            sys::cpu_us()
        ))
    }
}

/// Writes `bytes` and keeps the rest in `unsent`. `false`: nothing was written and nothing is kept.
fn put(poll: &Poll, at: usize, connection: &mut Connection, bytes: &[u8]) -> Result<bool> {
    let fd: RawFd = connection.socket.as_raw_fd();
    let taken = sys::write(fd, bytes)
        .map_err(|e| format!("writing: {e}"))?
        .unwrap_or(0);
    if taken < bytes.len() {
        if !connection.full {
            connection.full = true;
            poll.change(fd, at as u64, Interest::ReadWrite)?;
        }
        // A hello must not be lost. A frame of a flood is skipped if the socket buffer is full.
        if taken == 0 && connection.open {
            return Ok(false);
        }
        connection.unsent.extend_from_slice(&bytes[taken..]);
    }
    Ok(true)
}

/// Writes the unsent bytes. The socket is watched for writing exactly while there are any.
fn flush(poll: &Poll, at: usize, connection: &mut Connection) -> Result<()> {
    let fd = connection.socket.as_raw_fd();
    if !connection.unsent.is_empty() {
        let taken = sys::write(fd, &connection.unsent).map_err(|e| format!("writing: {e}"))?;
        connection.unsent.drain(..taken.unwrap_or(0));
    }
    let full = !connection.unsent.is_empty();
    if full != connection.full {
        connection.full = full;
        let interest = if full {
            Interest::ReadWrite
        } else {
            Interest::Read
        };
        poll.change(fd, at as u64, interest)?;
    }
    Ok(())
}
