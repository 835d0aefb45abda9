//! Load generator and floors for the benchmark.
//!
//! Three roles, each a process of its own, single-threaded over one level-triggered epoll:
//!
//! * `serve <echo|sink> <address>`: the cheapest server there can be. `echo` sends back what it
//!   reads, `sink` counts frames (newlines). What they cost is the floor under every server.
//! * `ping <address> <bytes>`: the client of `echo`; one round trip after the other.
//! * `drive <address> <hello> <ready>`: opens many connections and floods, holds or counts them.
//!
//! An address is `tcp:<port>` (on 127.0.0.1) or `unix:<path>`. Bytes that belong to a protocol come
//! from the harness ready-made, in hexadecimal (`-` is none), so one generator speaks to all peers.
//! Commands arrive as lines on standard input, each is answered by one line of JSON on standard
//! output; the process leaves when its input ends.

mod drive;
mod floor;
mod sys;

fn main() {
    // A peer that closes early must be an error of one write, not the end of the generator.
    // SAFETY: setting a disposition before any other thread exists.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", "echo", address] => floor::serve(address, floor::Service::Echo),
        ["serve", "sink", address] => floor::serve(address, floor::Service::Sink),
        ["ping", address, bytes] => floor::ping(address, bytes),
        ["drive", address, hello, ready] => drive::run(address, hello, ready),
        _ => Err(
            "usage: sockhop-loadgen serve <echo|sink> <address> | ping <address> <bytes> | \
                  drive <address> <hello> <ready>"
                .into(),
        ),
    };
    if let Err(error) = outcome {
        eprintln!("sockhop-loadgen: {error}");
        std::process::exit(1);
    }
}
