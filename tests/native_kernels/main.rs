//! The native engine's kernels, run on the host, against a plain interpreter.

#![allow(unsafe_code)] // It calls what it has compiled from C++.

#[path = "../common/native_cases.rs"]
#[allow(dead_code)]
mod cases;
mod emulator;
#[path = "../common/native.rs"]
#[allow(dead_code)] // Shared with other tests, which use other parts of it.
mod native;
mod networks;
mod operations;
#[path = "../common/speech.rs"]
#[allow(dead_code)]
mod speech;
