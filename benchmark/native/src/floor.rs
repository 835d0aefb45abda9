//! Measures the cost of the kernel alone, without any package.

use crate::sys::{self, Address, Lines, Poll, Result, STDIN};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
pub enum Service {
    Echo,
    Sink,
}

/// Serves until standard input ends. `stats` answers with the number of frames and the time used.
pub fn serve(address: &str, service: Service) -> Result<()> {
    const LISTENER: u64 = STDIN - 1;
    sys::raise_file_limit();
    let address = Address::parse(address)?;
    let listener = address.listen()?;
    let mut poll = Poll::new()?;
    let mut input = Lines::open(&poll)?;
    poll.add(listener.as_raw_fd(), LISTENER)?;
    println!("{{\"listening\":true}}");

    let mut connections: Vec<Option<OwnedFd>> = Vec::new();
    let mut buffer = vec![0; 65_536];
    let mut ready = Vec::new();
    let mut frames = 0_u64;
    while !input.ended {
        ready.clear();
        poll.wait(&mut ready, None)?;
        for &key in &ready {
            match key {
                STDIN => {
                    for line in input.take()? {
                        match line.as_str() {
                            "stats" => {
                                println!("{{\"frames\":{frames},\"cpuUs\":{}}}", sys::cpu_us());
                            }
                            other => return Err(format!("unknown command: {other}").into()),
                        }
                    }
                }
                LISTENER => {
                    while let Some(socket) = address.accept(&listener)? {
                        poll.add(socket.as_raw_fd(), connections.len() as u64)?;
                        connections.push(Some(socket));
                    }
                }
                key => {
                    let slot = &mut connections[key as usize];
                    let Some(socket) = slot else { continue };
                    let fd = socket.as_raw_fd();
                    // One read for each event, as in an event loop.
                    match sys::read(fd, &mut buffer) {
                        Ok(None) => {}
                        Ok(Some(n)) if n > 0 => match service {
                            // The rest is dropped: `ping` has only one small message in progress.
                            Service::Echo => drop(sys::write(fd, &buffer[..n])?),
                            Service::Sink => frames += count(&buffer[..n], b'\n'),
                        },
                        // Closing the descriptor removes it from the epoll set.
                        Ok(_) | Err(_) => *slot = None,
                    }
                }
            }
        }
    }
    Ok(())
}

/// Makes round trips one after another; `run ms=<n>` answers with their number and percentiles.
pub fn ping(address: &str, bytes: &str) -> Result<()> {
    let message = vec![b'x'; bytes.parse()?];
    let socket = Address::parse(address)?.connect()?;
    let fd = socket.as_raw_fd();
    let mut buffer = vec![0; message.len().max(4096)];
    println!("{{\"connected\":true}}");
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != "run" {
            return Err(format!("unknown command: {line}").into());
        }
        let duration = Duration::from_millis(sys::field(&words, "ms")?);
        let mut poll = Poll::new()?;
        poll.add(fd, 0)?;
        let mut ready = Vec::new();
        let mut samples: Vec<u64> = Vec::with_capacity(1 << 16);
        let (cpu, begin) = (sys::cpu_us(), Instant::now());
        while begin.elapsed() < duration {
            let sent = Instant::now();
            if sys::write(fd, &message)? != Some(message.len()) {
                return Err("the echo server does not read".into());
            }
            let mut got = 0;
            while got < message.len() {
                ready.clear();
                poll.wait(&mut ready, None)?;
                match sys::read(fd, &mut buffer)? {
                    Some(0) => return Err("the echo server has closed the connection".into()),
                    Some(n) => got += n,
                    None => {}
                }
            }
            samples.push(sent.elapsed().as_nanos() as u64);
        }
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let cpu = sys::cpu_us() - cpu;
        samples.sort_unstable();
        let us = |q: f64| samples[((samples.len() - 1) as f64 * q) as usize] as f64 / 1e3;
        println!(
            "{{\"count\":{},\"ms\":{ms},\"p50\":{},\"p99\":{},\"p999\":{},\"cpuUs\":{cpu}}}",
            samples.len(),
            us(0.5),
            us(0.99),
            us(0.999),
        );
    }
    Ok(())
}

pub fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.iter().filter(|&&byte| byte == wanted).count() as u64
}
