//! Errors of the program that it does not catch.

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

/// Reports an error of the program as uncaught. Unlike `throw` in JavaScript, it has Node show the
/// line of the program that made the error.
// In a build of the Rust tests no code refers to it.
#[cfg_attr(test, allow(dead_code))]
#[napi(catch_unwind)]
pub fn report_uncaught(env: Env, error: Unknown<'_>) {
    // SAFETY: both belong to the current call. A listener of the program may run meanwhile, as in
    // any call into JavaScript; nothing is borrowed here.
    let _ = unsafe { sys::napi_fatal_exception(env.raw(), error.raw()) };
}
