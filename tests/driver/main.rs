//! The real program on a stand-in for NVIDIA's driver (`driver.c`, compiled when the tests run): what it says and does where the driver is
//! absent, unusable or too old, when the GPU is lost, hangs or has no memory left, what it asks of the driver while it serves, and how it lets go of it at the end.
//!
//! No GPU is needed, and none is used where there is one. Pictures are not looked at: no kernel draws them.

#[path = "../common/mod.rs"]
mod common;
mod endings;
mod faults;
mod hangs;
mod memory;
mod serving;
mod stand_in;
mod two;
mod unusable;
