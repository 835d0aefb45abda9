//! N-API: the classes JavaScript sees, and the border they stand at.
//!
//! ```text
//! queue          one a JavaScript environment: wakes it, hands over what happened as one string
//! client         SockhopClient: attempts, pinging
//! server         SockhopServer and its listener
//! connection     SockhopSession, one connection: writing, reading, ending
//! framer         the framer for bytes that come from JavaScript (ObjectBuffer, adopted streams)
//! errors         errors of the program that nobody caught
//! uv             the event loop's poll handle, by which quiet connections are read without a hop
//! options        options, as JavaScript has checked them
//! tls            whom a client trusts, how it secures its connections
//! strings        strings across the border, both ways
//! ```
//!
//! Nothing here holds a strong reference to a JavaScript object, except the mailbox to the one
//! function that it wakes.
//!
//! This is the only place with `unsafe`; each says why it is sound.

#![allow(unsafe_code)]
// napi's macros make public items of what is private to this crate, and want owned arguments.
#![allow(unreachable_pub, clippy::needless_pass_by_value)]

mod client;
mod connection;
mod errors;
mod framer;
mod options;
mod queue;
mod server;
mod strings;
mod tls;
mod uv;

/// Keeps a panic out of the frames of C that called: unwinding into them ends the process.
fn contain(f: impl FnOnce()) {
    // What a panic says is on stderr already.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
}
