//! The `lipsyncd` program: one command a file under `commands/`.

use std::process::ExitCode;

use clap::Parser as _;
use lipsyncd::commands::{self, Cli};
use lipsyncd::telemetry::heap::CountingAllocator;

/// Network buffers and JPEGs of every size come and go on many threads; the system's allocator hands
/// blocks of this size back to the kernel each time. Counting costs a nanosecond or two each.
#[global_allocator]
static ALLOCATOR: CountingAllocator<mimalloc::MiMalloc> = CountingAllocator(mimalloc::MiMalloc);

fn main() -> ExitCode {
    // ONNX Runtime's wheel writes a device id and a database below the home directory when it is loaded,
    // whatever its API is told; only this variable stops it.
    #[allow(unsafe_code)] // The environment can be changed safely here and nowhere later.
    // SAFETY: no other thread has been started yet.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
    commands::run(Cli::parse())
}
