//! The process that builds one plan, and the one that waits for it.

use std::fmt;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};

use crate::backend::cuda::plan::{PlanKey, write_plan};
use crate::backend::cuda::tensorrt::{Library, build_plan};
use crate::commands::CommandError;
use crate::commands::error::FileError;
use crate::media::StderrTail;

/// How often a running child is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// What the hidden `lipsyncd engine build-one` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    #[arg(long)]
    network: PathBuf,
    #[arg(long)]
    plan: PathBuf,
    /// The plan's key as JSON
    #[arg(long)]
    key: String,
    #[arg(long, value_delimiter = ',')]
    sm: Vec<u32>,
    #[arg(long)]
    tensorrt: PathBuf,
}

/// What came of it, one JSON line on the child's stdout.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    bytes: usize,
    seconds: f32,
    /// Weights beyond float16's range, and weights that became 0.
    saturated: usize,
    vanished: usize,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, built in {:.1} s", self.bytes, self.seconds)?;
        match self.saturated {
            0 => Ok(()),
            saturated => write!(f, "; {saturated} weights exceed float16 and were held at 65504: measure the accuracy"),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let start = Instant::now();
    let key: PlanKey = serde_json::from_str(&args.key).map_err(CommandError::input)?;
    let network = std::fs::read(&args.network).map_err(FileError::at(&args.network)).map_err(CommandError::input)?;
    let library = Library::load(Some(&args.tensorrt)).map_err(CommandError::failed)?;
    let (plan, half) = build_plan(&library, &network, &key.options, &args.sm).map_err(CommandError::failed)?;
    write_plan(&args.plan, &key, &plan).map_err(CommandError::failed)?;
    let half = half.unwrap_or_default();
    let made = Made {
        bytes: plan.len(),
        seconds: start.elapsed().as_secs_f32(),
        saturated: half.saturated,
        vanished: half.vanished,
    };
    println!("{}", serde_json::to_string(&made).map_err(CommandError::failed)?);
    Ok(())
}

/// One plan to be built.
pub(super) struct Order<'a> {
    pub network: &'a Path,
    pub plan: &'a Path,
    pub key: &'a PlanKey,
    pub sms: &'a [u32],
    pub tensorrt: &'a Path,
    pub timeout: Duration,
}

/// Why a child made no plan.
#[derive(Debug, thiserror::Error)]
enum ChildError {
    #[error("{network}: no plan could be built: {said}")]
    Failed { network: PathBuf, said: String },
    #[error(
        "{network}: the process that built the plan was ended by signal {signal}: {}; {said}",
        if *.signal == libc::SIGKILL { "probably out of memory, lower --workspace-mib or the batch" } else { "a fault inside TensorRT, try another version of it" }
    )]
    Signal { network: PathBuf, signal: i32, said: String },
    #[error("{network}: no plan after {seconds} s; raise --timeout")]
    Timeout { network: PathBuf, seconds: u64 },
    #[error("{network}: the process that builds plans could not be run: {source}")]
    Spawn { network: PathBuf, source: std::io::Error },
    #[error("{network}: the process that built the plan ended without a word")]
    Silent { network: PathBuf },
}

/// Builds a plan in a child process and waits for it.
pub(super) fn order(order: &Order<'_>) -> Result<Made, CommandError> {
    build(order).map_err(CommandError::failed)
}

fn build(order: &Order<'_>) -> Result<Made, ChildError> {
    let network = || order.network.to_owned();
    let spawn = |source| ChildError::Spawn { network: network(), source };
    let mut child = start(order).map_err(spawn)?;
    let mut stderr = child.stderr.take().map(StderrTail::read);
    let status = wait(&mut child, order.timeout).map_err(spawn)?;
    let said = stderr.as_mut().map(StderrTail::join).unwrap_or_default().replace("lipsyncd: ", "");
    let Some(status) = status else {
        return Err(ChildError::Timeout { network: network(), seconds: order.timeout.as_secs() });
    };
    if let Some(signal) = status.signal() {
        return Err(ChildError::Signal { network: network(), signal, said });
    }
    if !status.success() {
        return Err(ChildError::Failed { network: network(), said });
    }
    let mut text = String::new();
    child
        .stdout
        .take()
        .ok_or_else(|| ChildError::Silent { network: network() })?
        .read_to_string(&mut text)
        .map_err(spawn)?;
    let last = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    last.ok_or_else(|| ChildError::Silent { network: network() })
}

fn start(order: &Order<'_>) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["engine", "build-one"]);
    command.arg("--network").arg(order.network).arg("--plan").arg(order.plan);
    command.arg("--key").arg(serde_json::to_string(order.key)?);
    command.arg("--tensorrt").arg(order.tensorrt);
    if !order.sms.is_empty() {
        command.arg("--sm").arg(order.sms.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    }
    // One short line comes back on stdout, which a pipe holds until the child has ended.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The child's status, or none when it was killed for taking too long.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= timeout {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(GLANCE);
    }
}
