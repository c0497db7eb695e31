//! What a GPU carries, measured: the generator alone, the kernels around it, the copies. For `lipsyncd engine bench`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::avatar::DeviceAvatar;
use super::backend::CudaBackend;
use super::bound::BoundNetwork;
use super::buffers::{GeneratorBuffers, GeneratorShape};
use super::engine::{Buffers, bucket_of};
use super::kernels::params::FrameParams;
use super::launch::FrameBatch;
use super::scratch::Scratch;
use super::shared::Generator;
use crate::avatar::LoadedAvatar;
use crate::avatar::onnx::{FEATURE_LEN, MEL_WINDOW_LEN};
use crate::backend::BackendError;
use crate::cuda::{DeviceBuf, Event, PinnedDown, PinnedUp, Priority, Stream, Timing};

/// Runs before the clock starts: lazy set-up, capture, clocks.
const WARM_RUNS: usize = 5;

/// How long a measurement takes, about.
const MEASURE: Duration = Duration::from_millis(300);

/// Repeats of each step, of which the median counts.
const STEP_RUNS: usize = 31;

/// Median times of the steps of one batch in microseconds, each alone on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepTimes {
    /// Its size.
    pub batch: usize,
    /// As many windows of mel through the encoder.
    pub encode_us: f64,
    /// Contexts and parameters to the GPU.
    pub upload_us: f64,
    /// Contexts gathered.
    pub gather_us: f64,
    /// Crops to picture inputs.
    pub picture_us: f64,
    /// The generator.
    pub network_us: f64,
    /// Its pictures into the strips' planes.
    pub paste_us: f64,
    /// Planes to the host.
    pub readback_us: f64,
}

/// Everything of one context.
struct Rig {
    network: BoundNetwork,
    buffers: GeneratorBuffers,
    stream: Arc<Stream>,
    staged: DeviceBuf,
    rows: DeviceBuf,
    params: DeviceBuf,
    generator: Arc<Generator>,
    avatar: Arc<DeviceAvatar>,
    batch: usize,
}

impl CudaBackend {
    /// Batches a second of the generator of `avatar`, which must be shown, with nothing around it: `batch` frames each, `contexts` of them
    /// side by side on streams of their own.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn bare_batches_per_second(
        &self,
        avatar: &LoadedAvatar,
        batch: usize,
        contexts: usize,
    ) -> Result<f64, BackendError> {
        let mut rigs = (0..contexts).map(|_| Rig::new(self, avatar, batch)).collect::<Result<Vec<_>, _>>()?;
        for rig in &mut rigs {
            rig.fill(self)?;
            for _ in 0..WARM_RUNS {
                rig.run()?;
            }
            rig.stream.synchronize()?;
        }
        let once = time(&mut rigs, 4)? / 4;
        let runs = (MEASURE.as_secs_f64() / once.as_secs_f64().max(1e-6)).clamp(8.0, 4000.0) as usize;
        let took = time(&mut rigs, runs)?;
        Ok((runs * contexts) as f64 / took.as_secs_f64())
    }

    /// Times of the steps of a batch of `batch` frames of `avatar`, which must be shown.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn step_times(&self, avatar: &LoadedAvatar, batch: usize) -> Result<StepTimes, BackendError> {
        let mut rig = Rig::new(self, avatar, batch)?;
        rig.fill(self)?;
        for _ in 0..WARM_RUNS {
            rig.run()?;
        }
        rig.stream.synchronize()?;
        let encode_us = self.encode_us(avatar, batch)?;
        rig.step_times(self, (batch, encode_us))
    }

    fn encode_us(&self, avatar: &LoadedAvatar, batch: usize) -> Result<f64, BackendError> {
        let shared = self.shared();
        let encoder = shared.table.find_encoder(avatar.models().encoder).ok_or(BackendError::Unloaded)?;
        let (batch, context) = (bucket_of(batch), &shared.context);
        let windows = DeviceBuf::from_slice(context, &noise(batch * avatar.mels() * MEL_WINDOW_LEN))?;
        let features = DeviceBuf::new(context, batch * FEATURE_LEN * size_of::<f32>())?;
        let stream = Arc::new(Stream::new(context, Priority::Normal)?);
        let ports = Buffers { inputs: vec![windows.ptr()], outputs: vec![features.ptr()], max_batch: batch };
        // SAFETY: the buffers have room for the batch, and outlive the network, which is declared after them.
        let mut network = BoundNetwork::new(unsafe { encoder.bind(&stream, &ports, &mut Scratch::new(context)) }?);
        // SAFETY: the stream runs one thing after the other.
        let mut run = || unsafe { network.run(batch, &stream) };
        for _ in 0..WARM_RUNS {
            run()?;
        }
        median_us(&stream, run)
    }
}

/// Time of `runs` runs on every rig, side by side.
fn time(rigs: &mut [Rig], runs: usize) -> Result<Duration, BackendError> {
    let Some(first) = rigs.first() else { return Ok(Duration::ZERO) };
    let context = Arc::clone(first.stream.context());
    let begin = Event::new(&context, Timing::On)?;
    begin.record(&first.stream)?;
    let mut ends = Vec::new();
    for rig in rigs.iter() {
        rig.stream.wait(&begin)?;
    }
    for _ in 0..runs {
        for rig in rigs.iter_mut() {
            rig.run()?;
        }
    }
    for rig in rigs.iter() {
        let end = Event::new(&context, Timing::On)?;
        end.record(&rig.stream)?;
        ends.push(end);
    }
    let mut longest = Duration::ZERO;
    for end in &ends {
        end.synchronize()?;
        longest = longest.max(end.since(&begin)?);
    }
    Ok(longest)
}

impl Rig {
    fn new(backend: &CudaBackend, avatar: &LoadedAvatar, batch: usize) -> Result<Self, BackendError> {
        let shared = backend.shared();
        shared.context.bind()?;
        let generator = shared.table.find_generator(avatar.models().generator).ok_or(BackendError::Unloaded)?;
        let shown = generator.shown().ok_or(BackendError::Unloaded)?;
        let batch = bucket_of(batch);
        let shape = GeneratorShape::of(&generator, &shown);
        let buffers = GeneratorBuffers::new(&shared.context, batch, shape)?;
        let stream = Arc::new(Stream::new(&shared.context, Priority::Normal)?);
        let ports = buffers.ports(batch);
        // SAFETY: the buffers have room for the batch, and the rig drops them after its network.
        let network =
            BoundNetwork::new(unsafe { generator.network.bind(&stream, &ports, &mut Scratch::new(&shared.context)) }?);
        let rows: Vec<i32> = (0..batch * generator.context_rows).map(|row| row as i32).collect();
        let stride = shape.strips.map_or(0, |strips| strips.stride);
        let frame = |index: usize| shown.frame(index % avatar.frame_count(), index * stride);
        let params: Vec<FrameParams> = (0..batch).map(frame).collect();
        Ok(Self {
            network,
            buffers,
            staged: DeviceBuf::from_slice(&shared.context, &noise(rows.len() * FEATURE_LEN))?,
            rows: DeviceBuf::from_slice(&shared.context, &rows)?,
            params: DeviceBuf::from_slice(&shared.context, &params)?,
            stream,
            generator,
            avatar: shown,
            batch,
        })
    }

    fn frames(&self) -> FrameBatch {
        let size_px = self.generator.size_px;
        FrameBatch { params: self.params.ptr(), batch: self.batch, geometry: self.avatar.geometry(), size_px }
    }

    /// Real inputs: networks may run faster on zeros.
    fn fill(&self, backend: &CudaBackend) -> Result<(), BackendError> {
        self.gather(backend)?;
        self.picture(backend)?;
        Ok(self.stream.synchronize()?)
    }

    fn run(&mut self) -> Result<(), BackendError> {
        // SAFETY: the buffers are the rig's, and its stream runs one thing after the other.
        unsafe { self.network.run(self.batch, &self.stream) }
    }

    fn gather(&self, backend: &CudaBackend) -> Result<(), BackendError> {
        let ends = [self.staged.ptr(), self.rows.ptr(), self.buffers.context.ptr()];
        let shape = (self.batch, self.generator.context_rows, FEATURE_LEN);
        let kernels = &backend.shared().kernels;
        // SAFETY: `rows` names rows of `staged`, and the context has room for the batch.
        Ok(unsafe { kernels.gather_context(&self.stream, self.generator.element, ends, shape) }?)
    }

    fn picture(&self, backend: &CudaBackend) -> Result<(), BackendError> {
        let (kernels, to) = (&backend.shared().kernels, self.buffers.picture.ptr());
        // SAFETY: the parameters name the avatar's pictures, and the picture has room for the batch.
        Ok(unsafe { kernels.picture_input(&self.stream, self.generator.element, self.frames(), to) }?)
    }

    fn paste(&self, backend: &CudaBackend) -> Result<(), BackendError> {
        // SAFETY: as above; each frame has a stride of the planes.
        Ok(unsafe { self.buffers.paste(&backend.shared().kernels, &self.stream, self.frames()) }?)
    }

    fn step_times(
        &mut self,
        backend: &CudaBackend,
        (batch, encode_us): (usize, f64),
    ) -> Result<StepTimes, BackendError> {
        let context = Arc::clone(&backend.shared().context);
        let values = noise(self.staged.bytes() / size_of::<f32>());
        let mut floats = PinnedUp::<f32>::new(&context, values.len())?;
        floats.copy_from_slice(&values);
        let planes_len = self.buffers.pasted.as_ref().map_or(0, |pasted| pasted.planes.bytes());
        let down = PinnedDown::<u8>::new(&context, planes_len)?;
        let stream = Arc::clone(&self.stream);
        // SAFETY: pinned memory and buffer are this function's and the rig's; each repeat is waited for.
        let upload_us = median_us(&stream, || Ok(unsafe { floats.upload(floats.len(), &self.staged, &stream) }?))?;
        let gather_us = median_us(&stream, || self.gather(backend))?;
        let picture_us = median_us(&stream, || self.picture(backend))?;
        let network_us = median_us(&stream, || self.run())?;
        let paste_us = median_us(&stream, || self.paste(backend))?;
        let readback_us = median_us(&stream, || match &self.buffers.pasted {
            // SAFETY: as for the upload.
            Some(pasted) => Ok(unsafe { down.download(planes_len, &pasted.planes, &stream) }?),
            None => Ok(()),
        })?;
        Ok(StepTimes { batch, encode_us, upload_us, gather_us, picture_us, network_us, paste_us, readback_us })
    }
}

/// Median time in microseconds on the GPU of what `enqueue` puts on `stream`.
fn median_us(stream: &Stream, mut enqueue: impl FnMut() -> Result<(), BackendError>) -> Result<f64, BackendError> {
    let (begin, end) = (Event::new(stream.context(), Timing::On)?, Event::new(stream.context(), Timing::On)?);
    let mut times = Vec::with_capacity(STEP_RUNS);
    for _ in 0..STEP_RUNS {
        begin.record(stream)?;
        enqueue()?;
        end.record(stream)?;
        end.synchronize()?;
        times.push(end.since(&begin)?);
    }
    times.sort_unstable();
    Ok(times[STEP_RUNS / 2].as_secs_f64() * 1e6)
}

/// Features as encoders make them: between -1 and 1, no two alike.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
