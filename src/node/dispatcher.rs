//! Hands the events of an environment to the JavaScript function that dispatches them.

use super::batch::{BYTES_CAPACITY, Batch, INDEX_CAPACITY};
use super::event_kinds::IndexHeader;
use crate::connection::Environment;
use napi::bindgen_prelude::{Error, Result, Status, Unknown};
use napi::{JsValue, check_status, sys};
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

/// A typed array that JavaScript shares with this side. The reference keeps its memory alive and in
/// place.
struct SharedArray<T> {
    reference: sys::napi_ref,
    data: *mut T,
    length: usize,
}

impl<T> SharedArray<T> {
    /// `kind` is that of arrays of `T`.
    fn new(env: sys::napi_env, array: sys::napi_value, kind: i32, least: usize) -> Result<Self> {
        let mut reference = ptr::null_mut();
        let mut actual = 0;
        let mut length = 0;
        let mut data = ptr::null_mut();
        // SAFETY: the array belongs to the current call. The reference is strong until `release`,
        // at the end of the environment: it is to an object of this package, not of the program.
        unsafe {
            check_status!(sys::napi_get_typedarray_info(
                env,
                array,
                &raw mut actual,
                &raw mut length,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            ))?;
            check_status!(sys::napi_create_reference(
                env,
                array,
                1,
                &raw mut reference
            ))?;
        }
        if actual != kind || length < least {
            return Err(Error::new(
                Status::InvalidArg,
                format!("a shared array must have {least} elements or more"),
            ));
        }
        Ok(Self {
            reference,
            data: data.cast(),
            length,
        })
    }
}

/// The function of `lib/internal/native/dispatcher.js` that takes a batch, the array that describes
/// the batch: see [`IndexHeader`], and the array for the bytes of binary frames. It belongs to the
/// thread of its environment.
pub(super) struct JsDispatcher {
    environment: Arc<Environment>,
    env: sys::napi_env,
    /// The function, and the arrays; null when the environment has ended.
    references: Cell<[sys::napi_ref; 3]>,
    /// The context under which async hooks see calls from the event loop; null where there are
    /// none. It is made only where the event loop reads: Deno has no handle scope in which to
    /// destroy it at the end.
    context: sys::napi_async_context,
    index: SharedArray<u32>,
    bytes: SharedArray<u8>,
}

impl JsDispatcher {
    /// `reads_in_loop` is whether [`dispatch_from_loop`](Self::dispatch_from_loop) is going to be
    /// called.
    pub(super) fn new(
        env: sys::napi_env,
        environment: Arc<Environment>,
        dispatch: sys::napi_value,
        index: &Unknown<'_>,
        bytes: &Unknown<'_>,
        reads_in_loop: bool,
    ) -> Result<Self> {
        let kinds = (
            sys::TypedarrayType::uint32_array,
            sys::TypedarrayType::uint8_array,
        );
        let index = SharedArray::new(env, index.raw(), kinds.0, INDEX_CAPACITY)?;
        let bytes = SharedArray::new(env, bytes.raw(), kinds.1, BYTES_CAPACITY)?;
        let mut function = ptr::null_mut();
        let mut name = ptr::null_mut();
        let mut context = ptr::null_mut();
        // SAFETY: all belong to the current call. The reference is strong until `release`: it is to
        // an object of this package, not of the program.
        unsafe {
            check_status!(sys::napi_create_reference(
                env,
                dispatch,
                1,
                &raw mut function
            ))?;
            check_status!(sys::napi_create_string_utf8(
                env,
                c"sockhop".as_ptr(),
                7,
                &raw mut name
            ))?;
            if reads_in_loop {
                check_status!(sys::napi_async_init(env, dispatch, name, &raw mut context))?;
            }
        }
        Ok(Self {
            environment,
            env,
            references: Cell::new([function, index.reference, bytes.reference]),
            context,
            index,
            bytes,
        })
    }

    /// Lays out the next batch; returns its text, and its extras or undefined. `None` if there are
    /// no events, or JavaScript has not finished the last batch.
    pub(super) fn next_batch(&self) -> Result<Option<[sys::napi_value; 2]>> {
        if self.is_released() {
            return Ok(None);
        }
        // SAFETY: the arrays are alive, see `SharedArray`, and never detached: they are private to
        // lib/internal. This is the environment's thread, and JavaScript does not run while these
        // slices live.
        let (index, bytes) = unsafe {
            (
                std::slice::from_raw_parts_mut(self.index.data, self.index.length),
                std::slice::from_raw_parts_mut(self.bytes.data, self.bytes.length),
            )
        };
        if index[IndexHeader::Used as usize] != 0 {
            return Ok(None);
        }
        self.environment.queue().delivered(std::mem::take(
            &mut index[IndexHeader::Interruptions as usize],
        ));
        let Some(mut events) = self.environment.take() else {
            return Ok(None);
        };
        let batch = Batch::encode(self.env, &mut events, index, bytes)?;
        self.environment.queue().recycle(events);
        index[IndexHeader::More as usize] = u32::from(!self.environment.queue().is_empty());
        Ok(Some(batch))
    }

    /// Dispatches the next batch. The caller has a handle scope open, and no code of the program on
    /// the stack.
    pub(super) fn dispatch(&self) {
        let Ok(Some(arguments)) = self.next_batch() else {
            return;
        };
        let mut this = ptr::null_mut();
        let mut callee = ptr::null_mut();
        let mut result = ptr::null_mut();
        let mut thrown = false;
        // SAFETY: the environment is alive, because its loop runs the caller; the arguments belong
        // to the caller's scope.
        unsafe {
            let [dispatch, ..] = self.references.get();
            let status = sys::napi_get_reference_value(self.env, dispatch, &raw mut callee);
            if status == sys::Status::napi_ok && !callee.is_null() {
                sys::napi_get_global(self.env, &raw mut this);
                sys::napi_call_function(
                    self.env,
                    this,
                    callee,
                    arguments.len(),
                    arguments.as_ptr(),
                    &raw mut result,
                );
            }
            // lib/internal/native/dispatcher.js throws nothing. The one exception that arrives here
            // is the termination of a worker, by `process.exit()` in a handler or by `terminate()`.
            // It must not stay pending, because the clean-up hook of the napi crate would find it
            // outside of any scope, and abort.
            sys::napi_is_exception_pending(self.env, &raw mut thrown);
            if thrown {
                sys::napi_get_and_clear_last_exception(self.env, &raw mut result);
            }
        }
    }

    /// Like [`dispatch`](Self::dispatch), in a callback of libuv, which has no scope of Node.
    #[cfg(unix)]
    pub(super) fn dispatch_from_loop(&self) {
        if self.is_released() {
            return;
        }
        let mut handles = ptr::null_mut();
        let mut callback = ptr::null_mut();
        let mut resource = ptr::null_mut();
        // SAFETY: the environment is alive, because its loop runs the caller. The scopes are closed
        // in reverse order. Closing the callback scope runs ticks and promises, and an exception in
        // them becomes an uncaught exception there. (`napi_make_callback` would keep it for later.)
        unsafe {
            if sys::napi_open_handle_scope(self.env, &raw mut handles) != sys::Status::napi_ok {
                return;
            }
            sys::napi_get_global(self.env, &raw mut resource);
            let status =
                sys::napi_open_callback_scope(self.env, resource, self.context, &raw mut callback);
            if status == sys::Status::napi_ok {
                self.dispatch();
                sys::napi_close_callback_scope(self.env, callback);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }

    /// Releases the objects of the environment while it ends, on its thread.
    pub(super) fn release(&self) {
        let references = self.references.replace([ptr::null_mut(); 3]);
        if references[0].is_null() {
            return;
        }
        // SAFETY: the environment is alive, and these are not used again: see `is_released`.
        unsafe {
            for reference in references {
                sys::napi_delete_reference(self.env, reference);
            }
            if !self.context.is_null() {
                sys::napi_async_destroy(self.env, self.context);
            }
        }
    }

    /// Writes into the index that the runtime has dropped its native objects.
    pub(super) fn mark_dropped(&self) {
        if self.is_released() {
            return;
        }
        // SAFETY: as in `next_batch`; native objects are dropped on their environment's thread.
        unsafe { self.index.data.add(IndexHeader::Dropped as usize).write(1) };
    }

    /// Whether the environment is ending, and dispatches no more events.
    fn is_released(&self) -> bool {
        self.references.get()[0].is_null()
    }
}
