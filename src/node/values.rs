//! Numbers, lists and exceptions across the border.

use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::{check_status, sys};
use std::ptr;
use std::time::Duration;

/// A position or size as JavaScript counts: exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// A number of connections, which fits, because a process has fewer than 2^32 descriptors.
pub(super) fn count(amount: usize) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

/// A size in bytes; `Infinity` is no limit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is meant
pub(super) fn size(bytes: f64) -> usize {
    bytes as usize
}

/// An id that JavaScript gave; it counts up to 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn id(number: f64) -> u64 {
    number as u64
}

/// A time in milliseconds; `None` for zero and less.
pub(super) fn duration(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX))
}

/// A value of JavaScript, in the handle scope of the current call.
pub(super) fn value(env: sys::napi_env, value: impl ToNapiValue) -> Result<sys::napi_value> {
    // SAFETY: the caller runs on the thread of `env`, in a call or callback of that environment.
    unsafe { ToNapiValue::to_napi_value(env, value) }
}

/// `undefined`.
pub(super) fn undefined(env: sys::napi_env) -> Result<sys::napi_value> {
    let mut undefined = ptr::null_mut();
    // SAFETY: the pointer is to a live variable.
    check_status!(unsafe { sys::napi_get_undefined(env, &raw mut undefined) })?;
    Ok(undefined)
}

/// An array of `values`.
pub(super) fn array(env: sys::napi_env, values: &[sys::napi_value]) -> Result<sys::napi_value> {
    let mut array = ptr::null_mut();
    // SAFETY: the values belong to this environment and to the scope of the current call.
    unsafe {
        check_status!(sys::napi_create_array_with_length(
            env,
            values.len(),
            &raw mut array
        ))?;
        for (index, value) in (0..).zip(values) {
            check_status!(sys::napi_set_element(env, array, index, *value))?;
        }
    }
    Ok(array)
}

/// A `Uint32Array` of `numbers`.
pub(super) fn uint32_array(env: sys::napi_env, numbers: &[u32]) -> Result<sys::napi_value> {
    let mut data = ptr::null_mut();
    let mut buffer = ptr::null_mut();
    let mut array = ptr::null_mut();
    // SAFETY: N-API makes a buffer of the requested size, which `numbers` fits exactly, and nothing
    // else has a reference to it yet.
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

/// Clears the pending exception of a failed call into the environment, so that the next call can
/// succeed.
pub(super) fn clear_exception(env: sys::napi_env) {
    let mut pending = false;
    let mut exception = ptr::null_mut();
    // SAFETY: the pointers are to live variables, and this is the environment's thread.
    unsafe {
        sys::napi_is_exception_pending(env, &raw mut pending);
        if pending {
            sys::napi_get_and_clear_last_exception(env, &raw mut exception);
        }
    }
}
