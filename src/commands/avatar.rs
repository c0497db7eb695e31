//! `lipsyncd avatar`: check bundles, make them from other tools' folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};

use super::stderr;
use super::stdout::say;
use super::{CommandError, progress};
use crate::avatar::import::{ImportError, ImportOptions, ImportSource, import};
use crate::avatar::{Bundle, LoadError, check, trial};
use crate::backend::{Backend, CpuBackend};
use crate::chain::sentence;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say everything that is wrong with a bundle, at once: exit code 2 when something is, 1 when it could not be tried
    Check(CheckArgs),
    /// Make a bundle from another tool's folder
    #[command(subcommand)]
    Import(ImportCommand),
}

#[derive(Debug, ClapArgs)]
pub(super) struct CheckArgs {
    /// The bundle's folder
    dir: PathBuf,
    /// Read headers only: do not decode the frames or run the networks, and so do without ONNX Runtime
    #[arg(long)]
    quick: bool,
    /// ONNX Runtime's shared library
    #[arg(long, env = "LIPSYNCD_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// A SyncTalk_2D dataset: full_body_img/N.jpg, landmarks/N.lms, and the exported networks
    Synctalk {
        /// The dataset's folder
        #[arg(long, value_name = "DIR")]
        dataset: PathBuf,
        /// The generator, exported to ONNX
        #[arg(long, value_name = "FILE")]
        generator: PathBuf,
        /// The audio encoder, exported to ONNX
        #[arg(long, value_name = "FILE")]
        audio_encoder: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// A model folder of the Go server: frames/, crop_rects.json, model_best.onnx, audio_encoder.onnx
    GoServer {
        /// The model's folder
        #[arg(long, value_name = "DIR")]
        model: PathBuf,
        /// The server's config.yaml [default: the one in the model's folder, if any]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct Target {
    /// The bundle's folder to make; its name becomes the avatar's id
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The avatar's name for people [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
    /// Replace a bundle that is already there
    #[arg(long)]
    force: bool,
    /// Hard-link the frames instead of copying them
    #[arg(long)]
    link: bool,
}

pub(super) fn run(command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Check(args) => run_check(args),
        Command::Import(command) => run_import(command),
    }
}

fn run_check(args: &CheckArgs) -> Result<(), CommandError> {
    let report = check(&args.dir);
    say(report.to_string().trim_end())?;
    if !report.is_usable() {
        let faults = report.faults.len();
        return Err(found(&args.dir, faults, !report.is_passing()));
    }
    if args.quick { Ok(()) } else { try_it(&args.dir, args.onnxruntime.as_deref()) }
}

/// Finds what headers cannot tell: pictures that do not decode, networks that do not run.
fn try_it(dir: &Path, onnxruntime: Option<&Path>) -> Result<(), CommandError> {
    let (backend, untried) = match CpuBackend::new(onnxruntime, 1) {
        Ok(backend) => (Some(Arc::new(backend) as Arc<dyn Backend>), None),
        Err(error) => (None, Some(format!("the networks were not run: {}", sentence(&error)))),
    };
    let bundle = Bundle::open(dir).map_err(|error| CommandError::of_load(error.into()))?;
    let bar = progress::bar("checking", bundle.frames.len());
    let mut faults = trial(&bundle, backend, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let Some(last) = faults.pop() else {
        // A bundle whose networks nobody has run is not one that passes.
        return untried.map_or(Ok(()), |why| Err(CommandError::failed(format!("{why}; --quick does without"))));
    };
    if let Some(why) = untried {
        stderr::say(format_args!("lipsyncd: {why}"));
    }
    if faults.is_empty() {
        return Err(CommandError::of_load(last));
    }
    faults.push(last);
    for fault in &faults {
        say(sentence(fault))?;
    }
    Err(found(dir, faults.len(), faults.iter().any(LoadError::is_faulty)))
}

/// How many faults there are; bad input where one `is_faulty`, rather than the system that read it.
fn found(dir: &Path, faults: usize, is_faulty: bool) -> CommandError {
    let message = format!("{}: faults found: {faults}", dir.display());
    if is_faulty { CommandError::input(message) } else { CommandError::failed(message) }
}

fn run_import(command: &ImportCommand) -> Result<(), CommandError> {
    let (source, target) = match command {
        ImportCommand::Synctalk { dataset, generator, audio_encoder, target } => (
            ImportSource::SyncTalk2d {
                dataset: dataset.clone(),
                generator: generator.clone(),
                audio_encoder: audio_encoder.clone(),
            },
            target,
        ),
        ImportCommand::GoServer { model, config, target } => {
            (ImportSource::GoServer { model_dir: model.clone(), config: config.clone() }, target)
        }
    };
    let options =
        ImportOptions { to: target.out.clone(), name: target.name.clone(), force: target.force, link: target.link };
    let bar = progress::bar("copying", 0);
    let summary = import(&source, &options, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })
    .map_err(|error| match error {
        ImportError::Copy { .. } | ImportError::Write { .. } => CommandError::failed(error),
        fault => CommandError::input(fault),
    })?;
    bar.finish_and_clear();
    say(summary.report.to_string().trim_end())?;
    say(format_args!("made {}", summary.bundle.display()))
}
