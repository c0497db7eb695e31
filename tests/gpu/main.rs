//! What only a GPU can tell; none of it runs without `--ignored`. `faults` leaves the process without a usable GPU and `soak` measures its
//! memory: each module is run in a process of its own, as `scripts/gpu-check.sh` does.

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod frames;
mod native;
mod nvjpeg;
mod soak;
