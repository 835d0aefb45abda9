//! Load generator and minimal servers of the benchmark.
//!
//! There are four roles. Each is a process with one thread and one level-triggered epoll instance:
//!
//! * `serve <echo|sink> <address>`: a minimal server. `echo` returns all bytes, and `sink` counts
//!   frames (newlines). No server can be cheaper.
//! * `ping <address> <bytes>`: the client of `echo`; makes one round trip after another.
//! * `drive <address> <hello> <ready>`: opens many connections and floods, holds or counts them.
//! * `visit <address> <hello> <ready> <certificate>`: makes TLS handshakes.
//!
//! An address is `tcp:<port>` (on 127.0.0.1) or `unix:<path>`. The harness supplies the bytes of a
//! protocol in hexadecimal (`-` stands for none), so that one generator works with all peers.
//! Commands are lines on standard input, and each is answered by one line of JSON on standard
//! output. The process ends when its input ends.

mod drive;
mod floor;
mod sys;
mod visit;

fn main() {
    // If a peer closes early, a write must fail instead of ending the process.
    // SAFETY: no other thread exists while the disposition is set.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", "echo", address] => floor::serve(address, floor::Service::Echo),
        ["serve", "sink", address] => floor::serve(address, floor::Service::Sink),
        ["ping", address, bytes] => floor::ping(address, bytes),
        ["drive", address, hello, ready] => drive::run(address, hello, ready),
        ["visit", address, hello, ready, certificate] => {
            visit::run(address, hello, ready, certificate)
        }
        _ => Err(
            "usage: sockhop-loadgen serve <echo|sink> <address> | ping <address> <bytes> | \
                  drive <address> <hello> <ready> | visit <address> <hello> <ready> <certificate>"
                .into(),
        ),
    };
    if let Err(error) = outcome {
        eprintln!("sockhop-loadgen: {error}");
        std::process::exit(1);
    }
}
