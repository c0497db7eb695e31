//! The process that builds a plan, started and waited for: a crash or a lack of memory in TensorRT's builder ends that process.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::backend::cuda::plan::PlanKey;
use crate::media::StderrTail;

/// How often a running child is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// What came of it, one JSON line on the child's stdout.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// Of the plan.
    pub bytes: usize,
    /// It took.
    pub seconds: f32,
    /// Weights beyond float16's range.
    pub saturated: usize,
    /// Weights that became 0.
    pub vanished: usize,
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

/// What a plan is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderTarget {
    /// A GPU of this machine, by its number among those visible: TensorRT times its kernels there.
    Gpu(u32),
    /// An SM, ahead of time and without a GPU.
    Sm(u32),
}

/// One plan to be built.
pub struct Order<'a> {
    /// The network's file, for messages.
    pub network: &'a Path,
    /// Its content, with all its weights.
    pub content: &'a [u8],
    /// Where the plan goes.
    pub plan: &'a Path,
    /// What it is made for.
    pub key: &'a PlanKey,
    /// What it is built for.
    pub target: OrderTarget,
    /// The folder of TensorRT's libraries.
    pub tensorrt: &'a Path,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why a child made no plan.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The builder refused.
    #[error("{network}: no plan could be built: {said}")]
    Failed {
        /// The network's file.
        network: PathBuf,
        /// What it said.
        said: String,
    },
    /// The builder crashed, or was ended.
    #[error(
        "{network}: the process that built the plan was ended by signal {signal}: {}; {said}",
        if *.signal == libc::SIGKILL { "probably for want of the host's memory, free some or give it more" } else { "a fault inside TensorRT, try another version of it" }
    )]
    Signal {
        /// The network's file.
        network: PathBuf,
        /// The signal's number.
        signal: i32,
        /// What it said.
        said: String,
    },
    /// It took too long.
    #[error("{network}: no plan after {seconds} s; build it ahead of time: `lipsyncd engine build --timeout`")]
    Timeout {
        /// The network's file.
        network: PathBuf,
        /// How long it may take.
        seconds: u64,
    },
    /// The system refused.
    #[error("{network}: the process that builds plans could not be run: {source}")]
    Spawn {
        /// The network's file.
        network: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It ended well, and said nothing.
    #[error("{network}: the process that built the plan ended without a word")]
    Silent {
        /// The network's file.
        network: PathBuf,
    },
}

/// Builds a plan in a child process, this program's `engine build-one`, and waits for it.
///
/// # Errors
/// [`OrderError`].
pub fn order(order: &Order<'_>) -> Result<Made, OrderError> {
    let network = || order.network.to_owned();
    let spawn = |source| OrderError::Spawn { network: network(), source };
    let mut child = start(order).map_err(spawn)?;
    let mut stderr = child.stderr.take().map(StderrTail::read);
    let stdin = child.stdin.take();
    let status = thread::scope(|scope| {
        // A child that ends before it has read everything says why itself, and so does one that finds less than its key is of.
        let say = || stdin.map(|mut stdin| stdin.write_all(order.content));
        match thread::Builder::new().spawn_scoped(scope, say) {
            Ok(_) => wait(&mut child, order.timeout),
            // The child has met the end of its input.
            Err(error) => wait(&mut child, order.timeout).and(Err(error)),
        }
    });
    let status = status.map_err(spawn)?;
    let said = stderr.as_mut().map(StderrTail::join).unwrap_or_default().replace("lipsyncd: ", "");
    let Some(status) = status else {
        return Err(OrderError::Timeout { network: network(), seconds: order.timeout.as_secs() });
    };
    if let Some(signal) = status.signal() {
        return Err(OrderError::Signal { network: network(), signal, said });
    }
    if !status.success() {
        return Err(OrderError::Failed { network: network(), said });
    }
    let mut text = String::new();
    child
        .stdout
        .take()
        .ok_or_else(|| OrderError::Silent { network: network() })?
        .read_to_string(&mut text)
        .map_err(spawn)?;
    let last = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    last.ok_or_else(|| OrderError::Silent { network: network() })
}

/// Has the calling process, one that [`order`] started, end when the thread that waits for it does, whatever that ends of: nobody wants the plan
/// any more, and it would have the GPU for minutes. To be called first: where that thread has ended before, the network is cut short.
pub fn end_with_its_order() {
    // SAFETY: it takes numbers, and concerns the calling process alone. It does not fail for a signal that there is.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

fn start(order: &Order<'_>) -> std::io::Result<Child> {
    // One short line comes back on stdout, which a pipe holds until the child has ended.
    command(order)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The child numbers the GPUs as this process does: it has the same environment.
fn command(order: &Order<'_>) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["engine", "build-one"]);
    command.arg("--plan").arg(order.plan);
    command.arg("--key").arg(serde_json::to_string(order.key)?);
    command.arg("--tensorrt").arg(order.tensorrt);
    match order.target {
        OrderTarget::Gpu(ordinal) => command.arg("--gpu").arg(ordinal.to_string()),
        OrderTarget::Sm(sm) => command.arg("--sm").arg(sm.to_string()),
    };
    Ok(command)
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
        thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avatar::onnx::Edges;
    use crate::backend::cuda::plan::{BatchRange, PlanOptions, Precision};

    #[test]
    fn a_plan_is_built_on_the_gpu_that_will_run_it_or_on_none() {
        let (precision, edges) = (Precision::Fp16, Edges::Half);
        let options = PlanOptions { precision, edges, batch: BatchRange::up_to(32), workspace_mib: 1024 };
        let key = PlanKey::new(b"network", "TensorRT 11.4".to_owned(), "H200".to_owned(), options);
        let arguments = |target| {
            let (path, timeout) = (Path::new("a"), Duration::ZERO);
            let order = Order { network: path, content: &[], plan: path, key: &key, target, tensorrt: path, timeout };
            command(&order).unwrap().get_args().map(|argument| argument.to_owned()).collect::<Vec<_>>()
        };
        assert!(arguments(OrderTarget::Gpu(3)).ends_with(&["--gpu".into(), "3".into()]));
        assert!(arguments(OrderTarget::Sm(89)).ends_with(&["--sm".into(), "89".into()]));
    }
}
