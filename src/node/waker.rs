//! Wakes the event loop of an environment from any thread.

use super::contain;
use napi::bindgen_prelude::Result;
use napi::{check_status, sys};
use parking_lot::Mutex;
use std::ffi::c_void;
use std::ptr;

/// Runs in the event loop after [`Waker::wake`].
type Callback = Box<dyn Fn()>;

/// The thread-safe function of one environment: empty before [`arm`](Waker::arm), and again when
/// the environment ends.
#[derive(Default)]
pub(super) struct Waker(Mutex<Option<sys::napi_threadsafe_function>>);

// SAFETY: N-API allows a thread-safe function to be called from any thread. It is called under the
// lock only, and taken out under the lock before the environment destroys it.
unsafe impl Send for Waker {}
// SAFETY: as above.
unsafe impl Sync for Waker {}

impl Waker {
    /// Makes the event loop of `env` call `callback` when another thread wakes it. N-API requires a
    /// function of JavaScript as well, which is not called; async hooks see it as the resource.
    pub(super) fn arm(
        &self,
        env: sys::napi_env,
        function: sys::napi_value,
        callback: Callback,
    ) -> Result<()> {
        *self.0.lock() = Some(threadsafe_function(env, function, callback)?);
        Ok(())
    }

    /// Makes the callback run soon. Any thread may call this.
    pub(super) fn wake(&self) {
        if let Some(function) = *self.0.lock() {
            // SAFETY: while it is in the slot, the environment has not destroyed it. The status
            // does not matter: an environment that is closing dispatches no events.
            unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }

    /// Keeps the event loop of `env` alive, or lets it end. Called on its thread.
    pub(super) fn set_keep_alive(&self, env: sys::napi_env, on: bool) {
        if let Some(function) = *self.0.lock() {
            // SAFETY: the function is alive while it is in the slot, and this is its environment's
            // thread.
            unsafe {
                if on {
                    sys::napi_ref_threadsafe_function(env, function);
                } else {
                    sys::napi_unref_threadsafe_function(env, function);
                }
            }
        }
    }

    /// Releases the function while the environment ends, on its thread.
    pub(super) fn release(&self) {
        if let Some(function) = self.0.lock().take() {
            // SAFETY: this thread owns the one reference that creation gave.
            unsafe {
                sys::napi_release_threadsafe_function(
                    function,
                    sys::ThreadsafeFunctionReleaseMode::release,
                );
            }
        }
    }
}

fn threadsafe_function(
    env: sys::napi_env,
    callback_js: sys::napi_value,
    callback: Callback,
) -> Result<sys::napi_threadsafe_function> {
    let mut name = ptr::null_mut();
    let mut function = ptr::null_mut();
    // SAFETY: all pointers are to live values; the function owns the box, which `finalize` takes
    // back. The queue of calls is unbounded, and holds one call at most, because the event queue
    // wakes once at a time.
    unsafe {
        check_status!(sys::napi_create_string_utf8(
            env,
            c"sockhop".as_ptr(),
            7,
            &raw mut name
        ))?;
        check_status!(sys::napi_create_threadsafe_function(
            env,
            callback_js,
            callback_js,
            name,
            0,
            1,
            ptr::null_mut(),
            Some(finalize),
            Box::into_raw(Box::new(callback)).cast(),
            Some(call),
            &raw mut function,
        ))?;
        // JavaScript decides whether it keeps the process alive: see `set_keep_alive`.
        check_status!(sys::napi_unref_threadsafe_function(env, function))?;
    }
    Ok(function)
}

/// Runs in the event loop of the environment.
unsafe extern "C" fn call(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        // The environment is closing.
        return;
    }
    // SAFETY: the context is the box of `threadsafe_function`; `finalize` has not run yet.
    let callback = unsafe { &*context.cast::<Callback>() };
    contain(callback);
}

/// Runs once, on the environment's thread, when its thread-safe function is gone.
unsafe extern "C" fn finalize(_env: sys::napi_env, _data: *mut c_void, context: *mut c_void) {
    // SAFETY: this is the box of `threadsafe_function`.
    let callback = unsafe { Box::from_raw(context.cast::<Callback>()) };
    contain(|| drop(callback));
}
