//! Keeps the library loaded. Node unloads it when the last environment that loaded it has ended,
//! but the threads of the runtime run its code until the process ends.

use std::ptr;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

/// Pins the library that contains this function.
pub(super) fn keep_loaded() {
    let within: fn() = keep_loaded;
    let mut module = ptr::null_mut();
    // SAFETY: the address lies in this library, which is loaded. The handle is not used.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            within as *const u16,
            &raw mut module,
        );
    }
}
