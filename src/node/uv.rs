//! A poll handle of libuv: it waits in Node's event loop until a descriptor is readable.
//!
//! libuv is part of the Node executable, and its functions are looked up there at the first use, so
//! that a runtime without libuv can load this library. JavaScript requests no handle there.

use super::contain;
use libloading::os::unix::Library;
use napi::bindgen_prelude::{Error, Result, Status};
use napi::{check_status, sys};
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;

/// `UV_POLL` of `uv_handle_type`, and `UV_READABLE` of `uv_poll_event`: both are part of libuv's
/// ABI.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type Handle = *mut c_void;
type PollCallback = unsafe extern "C" fn(handle: Handle, status: c_int, events: c_int);
type CloseCallback = unsafe extern "C" fn(handle: Handle);

/// The functions of libuv that are used here.
struct Uv {
    handle_size: unsafe extern "C" fn(kind: c_int) -> usize,
    poll_init: unsafe extern "C" fn(uv_loop: *mut c_void, handle: Handle, fd: c_int) -> c_int,
    poll_start: unsafe extern "C" fn(handle: Handle, events: c_int, PollCallback) -> c_int,
    poll_stop: unsafe extern "C" fn(handle: Handle) -> c_int,
    unref: unsafe extern "C" fn(handle: Handle),
    close: unsafe extern "C" fn(handle: Handle, CloseCallback),
    set_data: unsafe extern "C" fn(handle: Handle, data: *mut c_void),
    get_data: unsafe extern "C" fn(handle: Handle) -> *mut c_void,
}

impl Uv {
    /// The functions, looked up once; none in a process without libuv.
    fn get() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        let this = Library::this();
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the types are those of libuv's header, unchanged since 1.19.
                *unsafe { this.get($name) }.ok()?
            };
        }
        Some(Self {
            handle_size: symbol!(b"uv_handle_size"),
            poll_init: symbol!(b"uv_poll_init"),
            poll_start: symbol!(b"uv_poll_start"),
            poll_stop: symbol!(b"uv_poll_stop"),
            unref: symbol!(b"uv_unref"),
            close: symbol!(b"uv_close"),
            set_data: symbol!(b"uv_handle_set_data"),
            get_data: symbol!(b"uv_handle_get_data"),
        })
    }
}

/// The data of a handle.
struct Poll {
    ready: Box<dyn Fn()>,
    /// The memory of the handle, in words so that it is aligned for anything.
    memory: Vec<u64>,
    /// Removed when the handle is closed: Node waits for that at the end of the environment.
    hook: sys::napi_async_cleanup_hook_handle,
}

/// Calls `ready` in the event loop of `env` whenever `fd` is readable, until the environment ends.
/// The handle does not keep the loop alive.
pub(super) fn poll(env: sys::napi_env, fd: RawFd, ready: Box<dyn Fn()>) -> Result<()> {
    let failed = |what: &str| Error::new(Status::GenericFailure, format!("libuv: {what}"));
    let uv = Uv::get().ok_or_else(|| failed("this process has none"))?;
    let mut uv_loop = ptr::null_mut();
    // SAFETY: the pointer is to a live variable.
    check_status!(unsafe { sys::napi_get_uv_event_loop(env, &raw mut uv_loop) })?;
    // SAFETY: the kind is one that libuv has.
    let size = unsafe { (uv.handle_size)(UV_POLL) };
    let poll = Box::new(Poll {
        ready,
        memory: vec![0; size.div_ceil(size_of::<u64>())],
        hook: ptr::null_mut(),
    });
    let poll = Box::into_raw(poll);
    // SAFETY: the box stays where it is until `closed` takes it back, and so does the handle in it.
    // This is the thread of the loop. `uv_poll_init` makes the descriptor non-blocking,
    // which has no effect on an epoll descriptor. A handle whose init failed needs no close.
    unsafe {
        let handle: Handle = (*poll).memory.as_mut_ptr().cast();
        if (uv.poll_init)(uv_loop.cast(), handle, fd) != 0 {
            drop(Box::from_raw(poll));
            return Err(failed("cannot watch the descriptor"));
        }
        (uv.set_data)(handle, poll.cast());
        (uv.poll_start)(handle, UV_READABLE, readable);
        (uv.unref)(handle);
        check_status!(sys::napi_add_async_cleanup_hook(
            env,
            Some(clean_up),
            poll.cast(),
            &raw mut (*poll).hook,
        ))
    }
}

/// libuv's callback.
unsafe extern "C" fn readable(handle: Handle, status: c_int, _events: c_int) {
    if status != 0 {
        return;
    }
    // SAFETY: `poll` made the handle, and it is not closed: a closed handle has no callbacks. Only
    // the thread of the loop uses it.
    unsafe {
        let Some(uv) = Uv::get() else { return };
        let poll = (uv.get_data)(handle).cast::<Poll>();
        let ready = &(*poll).ready;
        contain(ready);
    }
}

/// Node's callback at the end of the environment, on its thread.
unsafe extern "C" fn clean_up(_hook: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    let poll = data.cast::<Poll>();
    // SAFETY: the box is alive until `closed`, which libuv calls later, from the loop that Node
    // runs until the hook is removed.
    unsafe {
        let Some(uv) = Uv::get() else { return };
        let handle: Handle = (*poll).memory.as_mut_ptr().cast();
        (uv.poll_stop)(handle);
        (uv.close)(handle, closed);
    }
}

/// libuv's callback when it has closed the handle.
unsafe extern "C" fn closed(handle: Handle) {
    // SAFETY: the handle has the box that `poll` leaked; there is no other reference to either.
    unsafe {
        let Some(uv) = Uv::get() else { return };
        let poll = Box::from_raw((uv.get_data)(handle).cast::<Poll>());
        let hook = poll.hook;
        contain(|| drop(poll));
        sys::napi_remove_async_cleanup_hook(hook);
    }
}
