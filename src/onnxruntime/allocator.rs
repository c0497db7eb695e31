//! The allocator that ONNX Runtime's environment works with: [`memory`](super::memory), by its C interface.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::ffi::c_void;
use std::ptr;

use ort::environment::Environment;
use ort::{AsPointer as _, sys};

use super::binding::{MemoryInfo, check};
use super::memory::MEMORY;

/// Has the sessions of `environment` that ask for its allocators work in such memory.
///
/// # Errors
/// ONNX Runtime's own.
pub(super) fn register(environment: &Environment) -> ort::Result<()> {
    let calls = sys::OrtAllocator {
        // SAFETY: the same function; its caller is C++ and knows exceptions.
        Alloc: Some(unsafe { std::mem::transmute::<ThrowingCall, AllocCall>(alloc) }),
        Free: Some(free),
        Info: Some(info),
        // SAFETY: a plain value.
        ..unsafe { sys::OrtAllocator::default() }
    };
    // Never released: the environment frees by it until the process ends.
    let allocator = ptr::from_mut(Box::leak(Box::new(Allocator { calls, info: MemoryInfo::cpu()? })));
    // SAFETY: the environment is live, and the allocator from now on for ever.
    unsafe { check((ort::api().RegisterAllocator)(environment.ptr().cast_mut(), allocator.cast())) }
}

/// Begins with what ONNX Runtime knows of it.
#[repr(C)]
struct Allocator {
    calls: sys::OrtAllocator,
    info: MemoryInfo,
}

/// `OrtAllocator::Alloc`. ONNX Runtime takes what this gives for memory and does not look: where there is none, it must be thrown at.
unsafe extern "system-unwind" fn alloc(_this: *mut sys::OrtAllocator, bytes: usize) -> *mut c_void {
    let data = MEMORY.alloc(bytes);
    // SAFETY: nothing of ours is on the stack to be unwound.
    if data.is_null() && bytes > 0 { unsafe { throw() } } else { data }
}

/// Throws C++'s `bad_alloc`, by asking ONNX Runtime's own allocator for more than there can be.
unsafe fn throw() -> *mut c_void {
    let mut own = ptr::null_mut();
    // SAFETY: the call writes one pointer, to what lives as long as the library.
    let found = unsafe { check((ort::api().GetAllocatorWithDefaultOptions)(&raw mut own)) };
    // SAFETY: as above.
    match found.ok().and_then(|()| unsafe { (*own).Alloc }) {
        // SAFETY: the same function, of which it is known that it throws.
        Some(alloc) => unsafe { std::mem::transmute::<AllocCall, ThrowingCall>(alloc)(own, isize::MAX as usize) },
        None => ptr::null_mut(),
    }
}

type AllocCall = unsafe extern "system" fn(*mut sys::OrtAllocator, usize) -> *mut c_void;
type ThrowingCall = unsafe extern "system-unwind" fn(*mut sys::OrtAllocator, usize) -> *mut c_void;

/// `OrtAllocator::Free`.
unsafe extern "system" fn free(_this: *mut sys::OrtAllocator, data: *mut c_void) {
    // SAFETY: ONNX Runtime frees what it got of `alloc`, once.
    unsafe { MEMORY.free(data) }
}

/// `OrtAllocator::Info`.
unsafe extern "system" fn info(this: *const sys::OrtAllocator) -> *const sys::OrtMemoryInfo {
    // SAFETY: ONNX Runtime hands back what was registered, an `Allocator`.
    unsafe { (*this.cast::<Allocator>()).info.0 }
}
