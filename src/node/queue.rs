//! The mailbox of one JavaScript environment (the main thread, or a worker).

use super::connection::SockhopSession;
use super::options::interval;
use super::{contain, strings as text, uv};
use crate::net::{self, Event, Segment};
use napi::bindgen_prelude::{Error, Function, Null, Result, Status, ToNapiValue, Unknown};
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::net::SocketAddr;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

/// The kinds of events in an index; `lib/internal/native/dispatcher.js` knows them by the same numbers.
mod kind {
    pub(super) const FRAMES: u32 = 0;
    pub(super) const LARGE_FRAME: u32 = 1;
    pub(super) const RAW: u32 = 2;
    pub(super) const TOO_LARGE: u32 = 3;
    pub(super) const ENDED: u32 = 4;
    pub(super) const FAILED: u32 = 5;
    pub(super) const FLUSHED: u32 = 6;
    pub(super) const DEAD: u32 = 7;
    pub(super) const BROADCAST_DONE: u32 = 8;
    pub(super) const ACCEPTED: u32 = 9;
    pub(super) const REFUSED: u32 = 10;
    pub(super) const LISTENER_FAILED: u32 = 11;
    pub(super) const CONNECTED: u32 = 12;
    pub(super) const CONNECT_FAILED: u32 = 13;
}

/// The JavaScript side of the mailbox: the function that delivers a batch, and the array that
/// tells what is in it.
///
/// The array is made once and written for every batch. Its first number says how many numbers are
/// in use, and is set to 0 by JavaScript when it is done with the batch; its second says whether
/// more was waiting, its third whether the mailbox is gone. Its fourth is for JavaScript to say how often it
/// interrupted the batch because its time was up. Records follow.
struct Desk {
    mailbox: Arc<net::Mailbox>,
    env: sys::napi_env,
    /// The function, and the array; null when the environment has ended.
    references: Cell<[sys::napi_ref; 2]>,
    /// Under which calls from the event loop appear to async hooks; null where there are none. Deno could not
    /// give it back at the end, for want of a handle scope.
    context: sys::napi_async_context,
    index: *mut u32,
    capacity: usize,
}

/// Where records begin.
const HEADER: usize = 4;
/// Room for the largest segment: every frame takes a number, every event six at most.
const INDEX_CAPACITY: usize =
    HEADER + net::mailbox::SEGMENT_FRAMES + 6 * net::mailbox::SEGMENT_EVENTS;

impl Desk {
    /// The desk of an environment. It is for that environment's thread alone.
    fn new(
        env: sys::napi_env,
        mailbox: Arc<net::Mailbox>,
        deliver: sys::napi_value,
        index: &Unknown<'_>,
        reads_in_loop: bool,
    ) -> Result<Self> {
        let mut function = ptr::null_mut();
        let mut array = ptr::null_mut();
        let mut kind = 0;
        let mut length = 0;
        let mut data = ptr::null_mut();
        let mut name = ptr::null_mut();
        let mut context = ptr::null_mut();
        // SAFETY: all belong to the current call. The references are strong until `release`, at the end of
        // the environment: they are to objects of this package, not of the program. They keep the
        // array's memory where it is.
        unsafe {
            check_status!(sys::napi_create_reference(
                env,
                deliver,
                1,
                &raw mut function
            ))?;
            check_status!(sys::napi_create_reference(
                env,
                index.raw(),
                1,
                &raw mut array
            ))?;
            check_status!(sys::napi_get_typedarray_info(
                env,
                index.raw(),
                &raw mut kind,
                &raw mut length,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            ))?;
            check_status!(sys::napi_create_string_utf8(
                env,
                c"sockhop".as_ptr(),
                7,
                &raw mut name
            ))?;
            if reads_in_loop {
                check_status!(sys::napi_async_init(
                    env,
                    ptr::null_mut(),
                    name,
                    &raw mut context
                ))?;
            }
        }
        if kind != sys::TypedarrayType::uint32_array || length < INDEX_CAPACITY {
            return Err(Error::new(
                Status::InvalidArg,
                format!("the index must be a Uint32Array of {INDEX_CAPACITY} numbers or more"),
            ));
        }
        Ok(Self {
            mailbox,
            env,
            references: Cell::new([function, array]),
            context,
            index: data.cast(),
            capacity: length,
        })
    }

    /// Lays the next batch out: its text, and its extras or undefined. Nothing if there is none,
    /// or JavaScript is not done with the last one.
    fn next(&self) -> Result<Option<[sys::napi_value; 2]>> {
        if self.is_released() {
            return Ok(None);
        }
        // SAFETY: the array is alive, see `new`, and never detached: it is private to
        // lib/internal/native/dispatcher.js. The desk is used on the environment's thread only, and JavaScript does
        // not run while this slice lives.
        let index = unsafe { std::slice::from_raw_parts_mut(self.index, self.capacity) };
        if index[0] != 0 {
            return Ok(None);
        }
        self.mailbox.delivered(std::mem::take(&mut index[3]));
        let Some(mut segment) = self.mailbox.take() else {
            return Ok(None);
        };
        let batch = Batch::of(self.env, &mut segment, index)?;
        self.mailbox.recycle(segment);
        index[1] = u32::from(!self.mailbox.is_empty());
        Ok(Some(batch))
    }

    /// Delivers what there is. The caller has a handle scope open, and nothing of the program on
    /// the stack.
    fn deliver(&self) {
        let Ok(Some(arguments)) = self.next() else {
            return;
        };
        let mut this = ptr::null_mut();
        let mut callee = ptr::null_mut();
        let mut result = ptr::null_mut();
        let mut thrown = false;
        // SAFETY: the environment is alive, because its loop runs the caller; the arguments belong
        // to the caller's scope.
        unsafe {
            let [deliver, _] = self.references.get();
            let status = sys::napi_get_reference_value(self.env, deliver, &raw mut callee);
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
            // lib/internal/native/dispatcher.js lets nothing through but the end of a worker, by `process.exit()` in a
            // handler or by `terminate()`. That must not stay with the environment: the clean-up
            // hook of the napi crate would find it where there is no scope to put it, and abort.
            sys::napi_is_exception_pending(self.env, &raw mut thrown);
            if thrown {
                sys::napi_get_and_clear_last_exception(self.env, &raw mut result);
            }
        }
    }

    /// Lets go of what it has of the environment, on its thread, while it ends.
    fn release(&self) {
        let references = self.references.replace([ptr::null_mut(); 2]);
        if references[0].is_null() {
            return;
        }
        // SAFETY: the environment is alive, and nobody uses these any more: see `is_released`.
        unsafe {
            for reference in references {
                sys::napi_delete_reference(self.env, reference);
            }
            if !self.context.is_null() {
                sys::napi_async_destroy(self.env, self.context);
            }
        }
    }

    /// Tells JavaScript that the runtime has given the native objects back.
    fn tell_gone(&self) {
        if self.is_released() {
            return;
        }
        // SAFETY: as in `next`; a mailbox is given back on its environment's thread.
        unsafe { self.index.add(2).write(1) };
    }

    /// Whether the environment is ending, and nothing is to be delivered.
    fn is_released(&self) -> bool {
        self.references.get()[0].is_null()
    }

    /// Delivers what there is, in a callback of libuv's, about which Node knows nothing.
    fn deliver_from_loop(&self) {
        if self.is_released() {
            return;
        }
        let mut handles = ptr::null_mut();
        let mut callback = ptr::null_mut();
        let mut resource = ptr::null_mut();
        // SAFETY: the environment is alive, because its loop runs the caller. The scopes are closed
        // in reverse order. Closing the callback scope runs ticks and promises, and what they throw
        // becomes an uncaught exception there. (`napi_make_callback` would keep it for later.)
        unsafe {
            if sys::napi_open_handle_scope(self.env, &raw mut handles) != sys::Status::napi_ok {
                return;
            }
            sys::napi_get_global(self.env, &raw mut resource);
            let status =
                sys::napi_open_callback_scope(self.env, resource, self.context, &raw mut callback);
            if status == sys::Status::napi_ok {
                self.deliver();
                sys::napi_close_callback_scope(self.env, callback);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }
}

/// The thread-safe function that wakes the environment, until the environment ends.
struct Waker(Mutex<Option<sys::napi_threadsafe_function>>);

// SAFETY: N-API allows a thread-safe function to be called from any thread. It is called under the
// lock only, and taken out under the lock before the environment destroys it.
unsafe impl Send for Waker {}
// SAFETY: as above.
unsafe impl Sync for Waker {}

impl Waker {
    fn wake(&self) {
        if let Some(function) = *self.0.lock() {
            // SAFETY: while it is in the slot, the environment has not destroyed it. The answer
            // matters to nobody: an environment that is closing needs no mail.
            unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }
}

/// What the clean-up hook of an environment needs.
struct Environment {
    waker: Arc<Waker>,
    mailbox: Arc<net::Mailbox>,
    desk: Rc<Desk>,
}

/// Runs on the thread of an environment that ends: before its thread-safe functions are destroyed,
/// because hooks run in reverse order of their making.
unsafe extern "C" fn clean_up(data: *mut c_void) {
    // SAFETY: `data` is the box that `Mailbox::new` leaked for this one call.
    let environment = unsafe { Box::from_raw(data.cast::<Environment>()) };
    contain(|| environment.mailbox.close());
    environment.desk.release();
    if let Some(function) = environment.waker.0.lock().take() {
        // SAFETY: this thread owns the one reference that creation gave.
        unsafe {
            sys::napi_release_threadsafe_function(
                function,
                sys::ThreadsafeFunctionReleaseMode::release,
            );
        }
    }
}

/// Runs on the JavaScript thread, in its event loop, when the mailbox has woken it.
unsafe extern "C" fn call_js(
    env: sys::napi_env,
    _callback: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        // The environment is closing.
        return;
    }
    // SAFETY: the context is the desk that `wake_function` gave; `let_go` has not run yet.
    let desk = unsafe { &*context.cast::<Desk>() };
    contain(|| desk.deliver());
}

/// Runs on the thread of the environment when its thread-safe function is gone.
unsafe extern "C" fn let_go(_env: sys::napi_env, _data: *mut c_void, context: *mut c_void) {
    // SAFETY: this is the reference that `wake_function` gave, and this runs once.
    let desk = unsafe { Rc::from_raw(context.cast::<Desk>()) };
    contain(|| drop(desk));
}

/// The thread-safe function by which other threads wake this environment.
fn wake_function(
    env: sys::napi_env,
    callback: sys::napi_value,
    desk: Rc<Desk>,
) -> Result<sys::napi_threadsafe_function> {
    let mut name = ptr::null_mut();
    let mut function = ptr::null_mut();
    // SAFETY: all pointers are to live values; the function owns a reference to the desk, which
    // `let_go` gives back. The queue is unbounded, and holds one call at most, because the mailbox
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
            callback,
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            Some(let_go),
            Rc::into_raw(desk).cast_mut().cast(),
            Some(call_js),
            &raw mut function,
        ))?;
        // What keeps the process alive is decided in JavaScript, by `reference`.
        check_status!(sys::napi_unref_threadsafe_function(env, function))?;
    }
    Ok(function)
}

/// The queue of everything that happened and that JavaScript has not been told.
#[napi]
pub struct Mailbox {
    pub(super) shared: Arc<net::Mailbox>,
    waker: Arc<Waker>,
    desk: Rc<Desk>,
}

/// Deno gives native objects back before it stops to run JavaScript: see lib/internal/native/deno-unload.js.
impl Drop for Mailbox {
    fn drop(&mut self) {
        self.desk.tell_gone();
    }
}

#[napi]
impl Mailbox {
    /// `deliver(text, extras)` is called, in the event loop of this environment, when there is
    /// something; the `Uint32Array` `index` then tells what: see [`Desk`] and the kinds above.
    /// `read_in_loop` allows the event loop to read quiet connections itself; it takes libuv.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        deliver: Function<'_, (), ()>,
        index: Unknown<'_>,
        read_in_loop: bool,
    ) -> Result<Self> {
        let poller = if read_in_loop {
            net::Poller::new().ok()
        } else {
            None
        };
        let waker = Arc::new(Waker(Mutex::new(None)));
        let shared = net::Mailbox::new(
            {
                let waker = Arc::clone(&waker);
                Box::new(move || waker.wake())
            },
            poller.clone(),
        );
        let deliver = deliver.value().value;
        // One a JavaScript environment; the callbacks below hold it until the very end.
        let desk = Desk::new(
            env.raw(),
            Arc::clone(&shared),
            deliver,
            &index,
            poller.is_some(),
        )?;
        let desk = Rc::new(desk);
        *waker.0.lock() = Some(wake_function(env.raw(), deliver, Rc::clone(&desk))?);
        if let Some(poller) = poller {
            let desk = Rc::clone(&desk);
            uv::poll(
                env.raw(),
                poller.fd(),
                Box::new(move || {
                    if desk.mailbox.fill_awake(|| poller.turn()) {
                        desk.deliver_from_loop();
                    }
                }),
            )?;
        }
        let environment = Box::new(Environment {
            waker: Arc::clone(&waker),
            mailbox: Arc::clone(&shared),
            desk: Rc::clone(&desk),
        });
        // SAFETY: the box is given back to Rust by the one call of the hook.
        unsafe {
            check_status!(sys::napi_add_env_cleanup_hook(
                env.raw(),
                Some(clean_up),
                Box::into_raw(environment).cast(),
            ))?;
        }
        Ok(Self {
            shared,
            waker,
            desk,
        })
    }

    /// Keeps the event loop alive, or lets it end.
    #[napi]
    pub fn reference(&self, env: Env, on: bool) {
        if let Some(function) = *self.waker.0.lock() {
            // SAFETY: the function is alive while it is in the slot, and this is its environment's
            // thread.
            unsafe {
                if on {
                    sys::napi_ref_threadsafe_function(env.raw(), function);
                } else {
                    sys::napi_unref_threadsafe_function(env.raw(), function);
                }
            }
        }
    }

    /// The next batch, for JavaScript that is done with the one before: its text, and extras if
    /// there are any; or nothing.
    #[napi(ts_return_type = "[string, unknown[] | undefined] | null")]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Option<Unknown<'env>>> {
        let Some(batch) = self.desk.next()? else {
            return Ok(None);
        };
        let batch = array(env.raw(), &batch)?;
        // SAFETY: the value was made in this environment just now.
        Ok(Some(unsafe {
            Unknown::from_raw_unchecked(env.raw(), batch)
        }))
    }

    /// Blocks until the kernel has all that was sent, or peers take nothing for `patience`
    /// milliseconds, or `limit` milliseconds are over.
    #[napi]
    pub fn drain(&self, patience: f64, limit: f64) {
        self.shared.drain(
            interval(patience).unwrap_or_default(),
            interval(limit).unwrap_or_default(),
        );
    }
}

/// What is to be done where an event cannot be laid out.
enum Lost {
    /// A connection said something that cannot become a value of JavaScript.
    Said(Arc<net::Connection>),
    /// A new connection cannot; and the attempt of a client that it came of, with that client.
    Made(Arc<net::Connection>, Option<(u64, u32)>),
    /// Nothing, as this is nothing that a peer can bring about.
    Nothing,
}

impl Lost {
    fn of(event: &Event, has_text: bool) -> Self {
        match event {
            Event::LargeFrame { connection, .. } | Event::Raw { connection, .. } => {
                Self::Said(Arc::clone(connection))
            }
            Event::Frames { connection, .. } if !has_text => Self::Said(Arc::clone(connection)),
            Event::Accepted { connection, .. } => Self::Made(Arc::clone(connection), None),
            Event::Connected {
                client,
                attempt,
                connection,
            } => Self::Made(Arc::clone(connection), Some((*client, *attempt))),
            _ => Self::Nothing,
        }
    }
}

const ENOMEM: i32 = 12;

/// Takes away the exception that a call into the environment has left, so that the next call can succeed.
fn clear_exception(env: sys::napi_env) {
    let mut thrown = false;
    let mut exception = ptr::null_mut();
    // SAFETY: the pointers are to live variables, and this is the environment's thread.
    unsafe {
        sys::napi_is_exception_pending(env, &raw mut thrown);
        if thrown {
            sys::napi_get_and_clear_last_exception(env, &raw mut exception);
        }
    }
}

/// A segment in the terms of JavaScript.
struct Batch<'index> {
    index: &'index mut [u32],
    /// How many numbers of the index are in use.
    used: usize,
    extras: Vec<sys::napi_value>,
    /// The text of the frames became a string.
    has_text: bool,
}

impl Batch<'_> {
    /// Lays out `segment`; answers its text, and its extras or undefined. What cannot be laid out costs nothing but
    /// itself.
    fn of(
        env: sys::napi_env,
        segment: &mut Segment,
        index: &mut [u32],
    ) -> Result<[sys::napi_value; 2]> {
        thread_local! {
            static ENDS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
        }
        let mut ends = ENDS.take();
        ends.clear();
        let text = text::frames(env, &segment.text, &segment.lengths, &mut ends);
        let has_text = text.is_ok();
        let text = text.or_else(|_| {
            clear_exception(env);
            text::ascii(env, b"")
        })?;
        let mut batch = Batch {
            index,
            used: HEADER,
            extras: Vec::new(),
            has_text,
        };
        let mut rest = ends.iter().copied();
        for event in segment.events.drain(..) {
            batch.lay(env, event, &mut rest);
        }
        // Bounded by INDEX_CAPACITY.
        #[allow(clippy::cast_possible_truncation)]
        let used = batch.used as u32;
        batch.index[0] = used;
        ENDS.set(ends);
        let extras = if batch.extras.is_empty() {
            let mut undefined = ptr::null_mut();
            // SAFETY: the pointer is to a live variable.
            check_status!(unsafe { sys::napi_get_undefined(env, &raw mut undefined) })?;
            undefined
        } else {
            array(env, &batch.extras)?
        };
        Ok([text, extras])
    }

    fn push(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.index[self.used] = number;
            self.used += 1;
        }
    }

    /// Adds an event, or what there is to say of one that JavaScript cannot have: a message that cannot become a string
    /// is too large.
    fn lay(&mut self, env: sys::napi_env, event: Event, ends: &mut impl Iterator<Item = u32>) {
        let (used, extras) = (self.used, self.extras.len());
        let lost = Lost::of(&event, self.has_text);
        if self.add(env, event, ends).is_ok() {
            return;
        }
        clear_exception(env);
        self.used = used;
        self.extras.truncate(extras);
        let told = match lost {
            Lost::Said(connection) => {
                self.number(env, kind::TOO_LARGE, connection.id(), f64::INFINITY)
            }
            Lost::Made(connection, attempt) => {
                connection.close();
                attempt.map_or(Ok(()), |(client, attempt)| {
                    self.list(env, kind::CONNECT_FAILED, client, (ENOMEM, "connect"))?;
                    self.push([attempt, 0]);
                    Ok(())
                })
            }
            Lost::Nothing => Ok(()),
        };
        if told.is_err() {
            // The environment is ending: it takes nothing at all.
            clear_exception(env);
            self.used = used;
            self.extras.truncate(extras);
        }
    }

    fn add(
        &mut self,
        env: sys::napi_env,
        event: Event,
        ends: &mut impl Iterator<Item = u32>,
    ) -> Result<()> {
        match event {
            Event::Frames {
                connection, count, ..
            } => {
                if !self.has_text {
                    return Err(Error::from_status(Status::GenericFailure));
                }
                self.record(kind::FRAMES, connection.id(), count);
                self.push(ends.take(count as usize));
            }
            Event::LargeFrame { connection, bytes } => {
                let value = text::utf8(env, &bytes)?;
                self.extra(kind::LARGE_FRAME, connection.id(), value);
            }
            Event::Raw { connection, bytes } => {
                // SAFETY: the value is made in this environment and used in it.
                let value = unsafe {
                    ToNapiValue::to_napi_value(env, napi::bindgen_prelude::Buffer::from(bytes))
                }?;
                self.extra(kind::RAW, connection.id(), value);
            }
            Event::TooLarge { connection, limit } => {
                self.number(env, kind::TOO_LARGE, connection.id(), number(limit as u64))?;
            }
            Event::Ended(connection) => self.record(kind::ENDED, connection.id(), 0),
            Event::Failed { connection, error } => {
                self.list(
                    env,
                    kind::FAILED,
                    connection.id(),
                    (error.errno, error.syscall),
                )?;
            }
            Event::Flushed {
                connection,
                position,
            } => {
                self.number(env, kind::FLUSHED, connection.id(), number(position))?;
            }
            Event::Dead(connection) => self.record(kind::DEAD, connection.id(), 0),
            Event::BroadcastDone(id) => self.record(kind::BROADCAST_DONE, id, 0),
            Event::Accepted {
                listener,
                connection,
            } => {
                let value = instance(env, SockhopSession { inner: connection })?;
                self.extra(kind::ACCEPTED, listener, value);
            }
            Event::Refused { listener, ends } => {
                let value = ends_of_tcp(env, ends.as_deref())?;
                self.extra(kind::REFUSED, listener, value);
            }
            Event::ListenerFailed { listener, error } => {
                self.list(
                    env,
                    kind::LISTENER_FAILED,
                    listener,
                    (error.errno, error.syscall),
                )?;
            }
            Event::Connected {
                client,
                attempt,
                connection,
            } => {
                let connection = instance(env, SockhopSession { inner: connection })?;
                self.extra(kind::CONNECTED, client, connection);
                // The attempt is a number of its own behind the record.
                self.push([attempt]);
            }
            Event::ConnectFailed {
                client,
                attempt,
                failures,
            } => {
                let mut values = Vec::with_capacity(3 * failures.len());
                for (endpoint, error) in failures {
                    // SAFETY: as in `number`.
                    values.extend(unsafe {
                        [
                            ToNapiValue::to_napi_value(env, endpoint)?,
                            ToNapiValue::to_napi_value(env, error.errno)?,
                            ToNapiValue::to_napi_value(env, error.syscall)?,
                        ]
                    });
                }
                let value = array(env, &values)?;
                self.extra(kind::CONNECT_FAILED, client, value);
                self.push([attempt]);
            }
        }
        Ok(())
    }

    fn record(&mut self, kind: u32, id: u64, value: u32) {
        let [low, high] = words(id);
        self.push([kind, low, high, value]);
    }

    /// A record whose value is the place of `value` in `extras`.
    fn extra(&mut self, kind: u32, id: u64, value: sys::napi_value) {
        // A segment has a bounded number of events.
        #[allow(clippy::cast_possible_truncation)]
        let place = self.extras.len() as u32;
        self.record(kind, id, place);
        self.extras.push(value);
    }

    fn number(&mut self, env: sys::napi_env, kind: u32, id: u64, value: f64) -> Result<()> {
        // SAFETY: the value is made in this environment and used in it.
        let value = unsafe { ToNapiValue::to_napi_value(env, value) }?;
        self.extra(kind, id, value);
        Ok(())
    }

    /// An extra `[errno, syscall]`.
    fn list(&mut self, env: sys::napi_env, kind: u32, id: u64, error: (i32, &str)) -> Result<()> {
        // SAFETY: as in `number`.
        let values = unsafe {
            [
                ToNapiValue::to_napi_value(env, error.0)?,
                ToNapiValue::to_napi_value(env, error.1)?,
            ]
        };
        let value = array(env, &values)?;
        self.extra(kind, id, value);
        Ok(())
    }
}

/// An id in two numbers of an index, the lower half first.
#[allow(clippy::cast_possible_truncation)]
fn words(id: u64) -> [u32; 2] {
    [id as u32, (id >> 32) as u32]
}

/// A position or size as JavaScript counts: exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// `[address, port, family, address, port, family]` of this end and the other, or null.
fn ends_of_tcp(
    env: sys::napi_env,
    ends: Option<&(SocketAddr, SocketAddr)>,
) -> Result<sys::napi_value> {
    let Some((local, peer)) = ends else {
        // SAFETY: as in `number`.
        return unsafe { ToNapiValue::to_napi_value(env, Null) };
    };
    let mut values = Vec::with_capacity(6);
    for end in [local, peer] {
        let family = if end.is_ipv4() { "IPv4" } else { "IPv6" };
        // SAFETY: as in `number`.
        unsafe {
            values.push(ToNapiValue::to_napi_value(env, end.ip().to_string())?);
            values.push(ToNapiValue::to_napi_value(env, u32::from(end.port()))?);
            values.push(ToNapiValue::to_napi_value(env, family)?);
        }
    }
    array(env, &values)
}

fn instance(env: sys::napi_env, session: SockhopSession) -> Result<sys::napi_value> {
    // SAFETY: the value is made in this environment and used in it.
    unsafe { ToNapiValue::to_napi_value(env, session) }
}

pub(super) fn array(env: sys::napi_env, values: &[sys::napi_value]) -> Result<sys::napi_value> {
    let mut array = ptr::null_mut();
    // SAFETY: the values belong to this environment and to the scope of the current call.
    unsafe {
        check_status!(sys::napi_create_array_with_length(
            env,
            values.len(),
            &raw mut array
        ))?;
        for (place, value) in (0..).zip(values) {
            check_status!(sys::napi_set_element(env, array, place, *value))?;
        }
    }
    Ok(array)
}

pub(super) fn uint32_array(env: sys::napi_env, numbers: &[u32]) -> Result<sys::napi_value> {
    let mut data = ptr::null_mut();
    let mut buffer = ptr::null_mut();
    let mut array = ptr::null_mut();
    // SAFETY: N-API makes a buffer of the size asked for, which `numbers` fits exactly, and nobody
    // else has seen it.
    unsafe {
        check_status!(sys::napi_create_arraybuffer(
            env,
            size_of_val(numbers),
            &raw mut data,
            &raw mut buffer
        ))?;
        if !numbers.is_empty() {
            ptr::copy_nonoverlapping(numbers.as_ptr(), data.cast::<u32>(), numbers.len());
        }
        check_status!(sys::napi_create_typedarray(
            env,
            sys::TypedarrayType::uint32_array,
            numbers.len(),
            buffer,
            0,
            &raw mut array
        ))?;
    }
    Ok(array)
}
