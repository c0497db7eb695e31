//! How each operation runs fastest on this GPU: every way is tried once, when a network is loaded, and the answer kept on the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;

use super::NativeError;
use super::lower::Choice;
use super::model::{NativeModel, Ways};
use super::network::NativeNetwork;
use super::program::{Edge, Op};
use super::tune_file;
use crate::cuda::{Context, CudaError, DeviceBuf, Event, Priority, Stream, Timing};
use crate::onnxruntime::Element;

/// Batches that are measured: for one viewer, for a few, and for all larger ones, which are alike.
pub const MEASURED: [usize; 3] = [1, 4, 16];

/// Times of each way, of which the least counts, and runs in each of them.
const REPEATS: usize = 5;
const RUNS: u32 = 2;

/// The way each operation runs, for each of [`MEASURED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuned {
    pub batches: [Vec<Choice>; MEASURED.len()],
    /// Whether kernels begin before the ones before them have ended.
    pub overlap: bool,
}

impl Tuned {
    /// How operation `index` runs over `batch` items.
    #[must_use]
    pub fn choice(&self, index: usize, batch: usize) -> Option<Choice> {
        let at = MEASURED.iter().position(|&measured| measured >= batch).unwrap_or(MEASURED.len() - 1);
        self.batches[at].get(index).copied()
    }
}

impl NativeModel {
    /// Finds out how each operation runs fastest, unless the folder `kept` knows it of an earlier start: in networks of the same shape, on
    /// the same GPU, with the same driver and kernels. Takes seconds, and the GPU for itself as far as it can.
    ///
    /// # Errors
    /// [`NativeError`]; the model runs as it usually would then.
    pub fn tune(self: &Arc<Self>, kept: Option<&Path>) -> Result<(), NativeError> {
        let gpu = self.kernels().context().gpu();
        let driver = self.kernels().driver();
        let target = format!("{} sm_{} driver {driver}", gpu.name, gpu.sm);
        let path = kept.map(|folder| tune_file::path(folder, self.program(), &target));
        if let Some(tuned) = path.as_deref().and_then(|path| tune_file::read(path, self)) {
            self.set_tuned(tuned);
            return Ok(());
        }
        let begin = Instant::now();
        let mut batches = MEASURED.map(|_| Vec::new());
        for (choices, batch) in batches.iter_mut().zip(MEASURED) {
            *choices = measure(self, batch)?;
        }
        let overlap = self.kernels().can_overlap() && overlap_pays(self, &batches)?;
        let tuned = Tuned { batches, overlap };
        tracing::info!(
            seconds = begin.elapsed().as_secs_f32(),
            "measured how the network runs fastest on {}",
            gpu.name
        );
        if let Some(path) = &path {
            tune_file::write(path, self.program(), &tuned);
        }
        self.set_tuned(tuned);
        Ok(())
    }
}

/// The fastest way of each operation over `batch` items.
fn measure(model: &Arc<NativeModel>, batch: usize) -> Result<Vec<Choice>, NativeError> {
    let mut bench = Bench::new(model, batch)?;
    model.program().ops.iter().enumerate().map(|(index, op)| Ok(bench.fastest(index, op)?)).collect()
}

/// Whether a whole run, captured as a graph, is faster when kernels begin early; not when such a graph cannot be made, nor when it leaves
/// another output: a kernel that does not wait for all it reads is wrong on some days only.
fn overlap_pays(model: &Arc<NativeModel>, batches: &[Vec<Choice>]) -> Result<bool, NativeError> {
    let (batch, choices) = (MEASURED[MEASURED.len() - 1], &batches[MEASURED.len() - 1]);
    let mut bench = Bench::new(model, batch)?;
    let mut times = [Duration::MAX; 2];
    let mut outputs = [(); 2].map(|()| vec![0_u8; bench.output.bytes()]);
    for ((time, output), overlap) in times.iter_mut().zip(&mut outputs).zip([false, true]) {
        bench.network.set_overlap(overlap);
        let Bench { stream, network, .. } = &mut bench;
        // SAFETY: the buffers are alive, and one stream runs one thing after the other.
        match stream.capture(|| unsafe { network.enqueue_as(choices, batch, stream) }) {
            Ok(mut graph) => {
                // SAFETY: as above.
                *time = bench.least(|bench| unsafe { graph.launch(&bench.stream) })?;
                bench.output.read(output)?;
            }
            Err(error) if overlap => tracing::debug!("kernels cannot begin early in a graph: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    let [plain, early] = times;
    if early < plain && outputs[0] != outputs[1] {
        tracing::warn!("kernels that begin early leave another picture on {}; they do not", bench.context.gpu().name);
        return Ok(false);
    }
    Ok(early < plain)
}

/// Values from 0 to 1 for an input of `batch` items.
fn noise(context: &Arc<Context>, edge: &Edge, batch: usize) -> Result<DeviceBuf, CudaError> {
    let values = (0..batch * edge.len()).map(|at| (at * 40503 % 1021) as f32 / 1021.0);
    match edge.element {
        Element::F16 => DeviceBuf::from_slice(context, &values.map(f16::from_f32).collect::<Vec<_>>()),
        Element::F32 => DeviceBuf::from_slice(context, &values.collect::<Vec<_>>()),
    }
}

struct Bench {
    // Declared first: what it has enqueued is done before it goes.
    stream: Stream,
    network: NativeNetwork,
    _inputs: Vec<DeviceBuf>,
    output: DeviceBuf,
    context: Arc<Context>,
    batch: usize,
}

impl Bench {
    fn new(model: &Arc<NativeModel>, batch: usize) -> Result<Self, NativeError> {
        let context = Arc::clone(model.kernels().context());
        let inputs = model.program().inputs.iter().map(|edge| noise(&context, edge, batch));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let output = &model.program().output;
        let output = DeviceBuf::new(&context, batch * output.len() * output.element.bytes())?;
        let addresses: Vec<_> = inputs.iter().map(DeviceBuf::ptr).collect();
        // SAFETY: the buffers have the edges' sizes and outlive the network.
        let network = unsafe { model.bind(&addresses, output.ptr(), batch, Ways::All) }?;
        let stream = Stream::new(&context, Priority::Normal)?;
        Ok(Self { stream, network, _inputs: inputs, output, context, batch })
    }

    /// Tries the ways of an operation; of a block as three kernels not every pair of tiles, but each tile beside the best of the other.
    fn fastest(&mut self, index: usize, op: &Op) -> Result<Choice, CudaError> {
        let mut best = (Duration::MAX, self.network.usual_choice(index, self.batch));
        let choices = self.network.choices(index);
        let multiprocessors = self.context.gpu().multiprocessors as usize;
        let apart = op.usual_choice(self.batch, multiprocessors, |_| false);
        let Choice::Apart(_, usual_last) = apart else {
            choices.into_iter().try_for_each(|choice| self.challenge(&mut best, index, choice))?;
            return Ok(best.1);
        };
        let mut best_apart = (Duration::MAX, apart);
        for &choice in &choices {
            match choice {
                Choice::Apart(_, last) if last == usual_last => self.challenge(&mut best_apart, index, choice)?,
                Choice::Apart(..) => {}
                _ => self.challenge(&mut best, index, choice)?,
            }
        }
        let Choice::Apart(best_first, _) = best_apart.1 else { return Ok(best.1) };
        for &choice in &choices {
            if matches!(choice, Choice::Apart(first, last) if first == best_first && last != usual_last) {
                self.challenge(&mut best_apart, index, choice)?;
            }
        }
        Ok(if best_apart.0 < best.0 { best_apart.1 } else { best.1 })
    }

    fn challenge(&mut self, best: &mut (Duration, Choice), index: usize, choice: Choice) -> Result<(), CudaError> {
        let time = self.time(index, choice)?;
        if time < best.0 {
            *best = (time, choice);
        }
        Ok(())
    }

    /// Time of one operation.
    fn time(&mut self, index: usize, choice: Choice) -> Result<Duration, CudaError> {
        self.least(|bench| bench.run(index, choice))
    }

    /// Least time of what `run` enqueues on the stream: whoever else has the GPU meanwhile only adds to it.
    fn least(&mut self, mut run: impl FnMut(&mut Self) -> Result<(), CudaError>) -> Result<Duration, CudaError> {
        run(self)?;
        let mut least = Duration::MAX;
        for _ in 0..REPEATS {
            let (begin, end) = (Event::new(&self.context, Timing::On)?, Event::new(&self.context, Timing::On)?);
            begin.record(&self.stream)?;
            for _ in 0..RUNS {
                run(self)?;
            }
            end.record(&self.stream)?;
            end.synchronize()?;
            least = least.min(end.since(&begin)? / RUNS);
        }
        Ok(least)
    }

    fn run(&mut self, index: usize, choice: Choice) -> Result<(), CudaError> {
        // SAFETY: the buffers are alive, and one stream runs one thing after the other.
        unsafe { self.network.enqueue_op(index, choice, self.batch, &self.stream) }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = self.stream.synchronize() {
            tracing::debug!("{error}");
        }
    }
}
