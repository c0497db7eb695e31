//! `lipsyncd engine`: what runs the networks on a GPU: plans ahead of time, and what it carries.

mod accuracy;
mod bench;
mod build;
mod check;
#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
mod child;

use clap::Subcommand;

use super::CommandError;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build the TensorRT plans of an avatar's networks, so that the daemon need not when it loads the avatar
    Build(build::Args),
    /// Measure what a GPU carries: the generator alone, each step of a batch, and the whole pipeline
    Bench(bench::Args),
    /// Compare what a GPU draws with what the CPU draws, on an avatar's own pictures
    Check(check::Args),
    /// Build one plan in this process; what `build` starts
    #[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
    #[command(hide = true)]
    BuildOne(child::Args),
}

pub(super) fn run(command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Build(args) => build::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Check(args) => check::run(args),
        #[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
        Command::BuildOne(args) => child::run(args),
    }
}
