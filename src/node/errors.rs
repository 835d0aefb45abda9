//! Errors of the program, on their way to `uncaughtException`.

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

/// Reports an error as one that the program threw and did not catch. Unlike `throw` in JavaScript, Node then shows the
/// line of the program where the error was made, and not the line of this package that passed it on.
// In tests of Rust nothing registers it.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn report_uncaught(env: Env, error: Unknown<'_>) {
    // SAFETY: both are of the call under way. A listener of the program may run within, as within any call into
    // JavaScript; nothing is borrowed here meanwhile.
    let _ = unsafe { sys::napi_fatal_exception(env.raw(), error.raw()) };
}
