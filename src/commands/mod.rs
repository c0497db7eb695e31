//! The commands, one file each.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or bad input.

// `println!` panics when nobody reads any more, and so does `eprintln!`; `stdout::say` and `stderr::say` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod avatar;
mod bench;
mod completions;
mod device_args;
mod devices;
mod doctor;
mod engine;
mod error;
mod mel;
mod numbers;
mod preload;
mod progress;
mod serve;
mod starting;
mod stderr;
mod stdout;
mod synth;
mod target;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tonic::transport::Uri;

pub use error::CommandError;

use crate::config::LogFormat;
use crate::telemetry;

/// Turns speech into the frames of a talking avatar.
#[derive(Debug, Parser)]
#[command(name = "lipsyncd", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: gRPC in, frames out, until SIGTERM
    Serve(serve::Args),
    /// Make a video, or its frames, from a WAV file
    Synth(synth::Args),
    /// Write the mel spectrogram of a WAV file, to compare with a training pipeline
    Mel(mel::Args),
    /// Check avatar bundles, or make them from other tools' folders
    #[command(subcommand)]
    Avatar(avatar::Command),
    /// On a GPU: build TensorRT plans ahead of time, check its frames against the CPU's, measure what it carries
    #[command(subcommand)]
    Engine(engine::Command),
    /// Put live streams on a running daemon and measure what their viewers would see
    Bench(bench::Args),
    /// Say what was found on this machine and what would be used
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// A daemon's address, as `--server` and `--target` take it.
fn daemon_url(text: &str) -> Result<String, &'static str> {
    let sound = |url: &Uri| url.scheme_str() == Some("http") && url.authority().is_some();
    let url = text.parse().ok().filter(sound);
    url.map(|_| text.to_owned()).ok_or("write an address such as http://127.0.0.1:50053")
}

/// Runs the command and reports its failure, if any, in one line on stderr.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(args) => return serve::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Mel(args) => mel::run(&args),
        Command::Avatar(command) => avatar::run(&command),
        Command::Engine(command) => engine::run(&command),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    end(result, LogFormat::Text)
}

/// The exit code of a command; its failure, if any, in one line on stderr.
fn end(result: Result<(), CommandError>, format: LogFormat) -> ExitCode {
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::last_words(format, &error);
            error.exit_code()
        }
    };
    telemetry::flush();
    code
}
