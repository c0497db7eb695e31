//! The `lipsyncd` program: one command a file under `commands/`.

use std::process::ExitCode;

use clap::Parser as _;
use lipsyncd::commands::{self, Cli};

/// Network buffers and JPEGs of every size come and go on many threads; the system's allocator hands
/// blocks of this size back to the kernel each time (FACTS, H2).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A reader that closed its end of our pipe is not a failure worth a panic message.
    commands::run(Cli::parse())
}
