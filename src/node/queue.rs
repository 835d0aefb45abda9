//! The event queue of one JavaScript environment (the main thread, or a worker).

use super::contain;
use super::dispatcher::JsDispatcher;
#[cfg(windows)]
use super::module;
#[cfg(unix)]
use super::uv;
use super::values::{array, duration};
use super::waker::Waker;
use crate::connection::Environment;
use crate::endpoint::listener::{LocalListeners, close_all};
use crate::events::poller::Poller;
use napi::bindgen_prelude::{Function, Result, Unknown};
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

/// Events that JavaScript has not dispatched yet.
#[napi]
pub struct EventQueue {
    pub(super) shared: Arc<Environment>,
    pub(super) listeners: Arc<LocalListeners>,
    waker: Arc<Waker>,
    dispatcher: Rc<JsDispatcher>,
}

/// Deno drops native objects before it stops to run JavaScript: see
/// lib/internal/native/deno-unload.js.
impl Drop for EventQueue {
    fn drop(&mut self) {
        self.dispatcher.mark_dropped();
    }
}

#[napi]
impl EventQueue {
    /// `dispatch(text, extras)` is called in the event loop of this environment when there are
    /// events, which the `Uint32Array` `index` describes: see `IndexHeader` and `EventKind`. The
    /// `Uint8Array` `bytes` has the binary frames of the batch.
    /// `read_in_loop` allows the event loop to read quiet connections itself; this needs libuv.
    /// Async hooks see `dispatch` as the resource: tools that look for open handles ask its
    /// `hasRef()`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        dispatch: Function<'_, (), ()>,
        index: Unknown<'_>,
        bytes: Unknown<'_>,
        read_in_loop: bool,
    ) -> Result<Self> {
        let env = env.raw();
        #[cfg(windows)]
        module::keep_loaded();
        let poller = if read_in_loop {
            Poller::new().ok()
        } else {
            None
        };
        let waker = Arc::new(Waker::default());
        let shared = Environment::new(
            {
                let waker = Arc::clone(&waker);
                Box::new(move || waker.wake())
            },
            poller.clone(),
        );
        let dispatch = dispatch.value().value;
        // The callbacks below hold it until the environment has ended.
        let dispatcher = Rc::new(JsDispatcher::new(
            env,
            Arc::clone(&shared),
            dispatch,
            &index,
            &bytes,
            poller.is_some(),
        )?);
        waker.arm(env, dispatch, {
            let dispatcher = Rc::clone(&dispatcher);
            Box::new(move || dispatcher.dispatch())
        })?;
        // Systems without descriptors have no poller.
        #[cfg(unix)]
        if let Some(poller) = poller {
            let queue = Arc::clone(&shared);
            let dispatcher = Rc::clone(&dispatcher);
            uv::poll(
                env,
                poller.fd(),
                Box::new(move || {
                    if queue.queue().fill_awake(|| poller.turn()) {
                        dispatcher.dispatch_from_loop();
                    }
                }),
            )?;
        }
        let queue = Self {
            shared,
            listeners: Arc::default(),
            waker,
            dispatcher,
        };
        queue.clean_up_with(env)?;
        Ok(queue)
    }

    /// Keeps the event loop alive, or lets it end.
    #[napi(catch_unwind)]
    pub fn set_keep_alive(&self, env: Env, on: bool) {
        self.waker.set_keep_alive(env.raw(), on);
    }

    /// The next batch, if JavaScript has dispatched the last one: its text, and extras if there are
    /// any.
    #[napi(
        catch_unwind,
        ts_return_type = "[string, unknown[] | undefined] | null"
    )]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Option<Unknown<'env>>> {
        let Some(batch) = self.dispatcher.next_batch()? else {
            return Ok(None);
        };
        let batch = array(env.raw(), &batch)?;
        // SAFETY: the value was made in this environment just now.
        Ok(Some(unsafe {
            Unknown::from_raw_unchecked(env.raw(), batch)
        }))
    }

    /// Blocks until the kernel has everything that was sent, or peers have taken nothing for
    /// `patience` milliseconds, or `limit` milliseconds have passed.
    #[napi(catch_unwind)]
    pub fn drain(&self, patience: f64, limit: f64) {
        self.shared.drain(
            duration(patience).unwrap_or_default(),
            duration(limit).unwrap_or_default(),
        );
    }

    /// Closes this when the environment `env` ends.
    fn clean_up_with(&self, env: sys::napi_env) -> Result<()> {
        let environment = Box::new(CleanUp {
            shared: Arc::clone(&self.shared),
            listeners: Arc::clone(&self.listeners),
            waker: Arc::clone(&self.waker),
            dispatcher: Rc::clone(&self.dispatcher),
        });
        // SAFETY: the box is given back to Rust by the one call of the hook.
        check_status!(unsafe {
            sys::napi_add_env_cleanup_hook(env, Some(clean_up), Box::into_raw(environment).cast())
        })
    }
}

/// The parts that the clean-up hook of an environment closes.
struct CleanUp {
    shared: Arc<Environment>,
    listeners: Arc<LocalListeners>,
    waker: Arc<Waker>,
    dispatcher: Rc<JsDispatcher>,
}

/// Runs on the thread of an environment that ends: before its thread-safe functions are destroyed,
/// because hooks run in reverse order of their registration.
unsafe extern "C" fn clean_up(data: *mut c_void) {
    // SAFETY: `data` is the box that `clean_up_with` leaked for this one call.
    let environment = unsafe { Box::from_raw(data.cast::<CleanUp>()) };
    contain(|| {
        close_all(&environment.listeners);
        environment.shared.close();
    });
    environment.dispatcher.release();
    environment.waker.release();
}
