//! The threads that encode and splice what comes back from the GPU, one compressor each: a batch's strips at once, so that a lane is soon
//! free for its next batch and a frame soon with its viewer.

use std::collections::VecDeque;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::avatar::LoadedAvatar;
use crate::backend::draw::{Easel, Patcher, Source};
use crate::backend::{BackendError, FrameFormat, ModelId};
use crate::batch::PooledBuf;
use crate::picture::template::packed_planes;

/// Avatars whose compressors a thread keeps; beyond them the one met longest ago is given up.
const MOST_AVATARS: usize = 64;

/// Bytes that came back from the GPU.
pub(super) type Planes = dyn Deref<Target = [u8]> + Send + Sync;

/// One strip to encode.
pub(super) struct Job {
    pub avatar: Arc<LoadedAvatar>,
    pub picture: usize,
    pub format: FrameFormat,
    /// Planes of a batch, of which this frame's begin at `from`.
    pub planes: Arc<Planes>,
    pub from: usize,
    /// Where the frame goes, and which of its batch it is.
    pub output: PooledBuf,
    pub index: usize,
    pub tally: Arc<Tally>,
}

/// A batch's frames that are done.
pub(super) struct Tally {
    done: Mutex<Vec<Done>>,
    more: Condvar,
}

/// One of them: which, where it is, and how it went.
struct Done {
    index: usize,
    output: PooledBuf,
    result: Result<(), BackendError>,
}

impl Tally {
    /// For batches of up to `most`.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { done: Mutex::new(Vec::with_capacity(most)), more: Condvar::new() })
    }

    /// Waits for `count` frames and hands them out.
    /// Their outputs go to `outputs`, in the batch's order, the failed ones empty; `failed` is told of those.
    pub(super) fn collect(
        &self,
        count: usize,
        outputs: &mut Vec<PooledBuf>,
        mut failed: impl FnMut(usize, BackendError),
    ) {
        let mut done = lock(&self.done);
        while done.len() < count {
            done = self.more.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        done.sort_unstable_by_key(|done| done.index);
        for Done { index, output, result } in done.drain(..) {
            outputs.push(output);
            if let Err(error) = result {
                failed(index, error);
            }
        }
    }

    pub(super) fn add(&self, index: usize, output: PooledBuf, result: Result<(), BackendError>) {
        lock(&self.done).push(Done { index, output, result });
        self.more.notify_one();
    }
}

/// The threads, for all lanes of a GPU.
pub(super) struct Encoders {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Jobs that the lanes may have queued together.
    reserved: usize,
    stopping: bool,
}

impl Encoders {
    /// Starts `threads`, at least one.
    ///
    /// # Errors
    /// [`BackendError::Thread`].
    pub(super) fn start(threads: usize) -> Result<Self, BackendError> {
        let state = Mutex::new(State { jobs: VecDeque::new(), reserved: 0, stopping: false });
        let queue = Arc::new(Queue { state, arrived: Condvar::new() });
        let mut encoders = Self { queue, threads: Vec::new() };
        for index in 0..threads.max(1) {
            let queue = Arc::clone(&encoders.queue);
            let run = move || Encoder::default().run(&queue);
            let thread = std::thread::Builder::new().name(format!("encoder-{index}")).spawn(run);
            encoders.threads.push(thread.map_err(BackendError::Thread)?);
        }
        Ok(encoders)
    }

    /// Makes room for a lane's batches of up to `most`, so that queueing never allocates.
    pub(super) fn reserve(&self, most: usize) {
        let mut state = lock(&self.queue.state);
        state.reserved += most;
        let missing = state.reserved.saturating_sub(state.jobs.len());
        state.jobs.reserve(missing);
    }

    /// Gives back what [`Self::reserve`] took: the lane is gone.
    pub(super) fn release(&self, most: usize) {
        lock(&self.queue.state).reserved -= most;
    }

    /// Queues `jobs`, in order; each is added to its tally when it is done.
    pub(super) fn encode(&self, jobs: impl Iterator<Item = Job>) {
        lock(&self.queue.state).jobs.extend(jobs);
        self.queue.arrived.notify_all();
    }
}

impl Drop for Encoders {
    fn drop(&mut self) {
        lock(&self.queue.state).stopping = true;
        self.queue.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// What `draw` comes to, a panic included: the batch's lane waits for every frame, and the thread has others to draw.
fn caught(draw: impl FnOnce() -> Result<(), BackendError>) -> Result<(), BackendError> {
    // The panic's own words have gone to stderr.
    catch_unwind(AssertUnwindSafe(draw)).unwrap_or(Err(BackendError::EncoderPanic))
}

/// One thread's tools.
#[derive(Default)]
struct Encoder {
    easel: Easel,
    /// Compressors by generator: each loaded avatar has one of its own.
    known: Vec<(ModelId, Patcher)>,
}

impl Encoder {
    fn run(mut self, queue: &Queue) {
        while let Some(job) = queue.next() {
            let Job { avatar, picture, format, planes, from, mut output, index, tally } = job;
            let result = caught(|| self.draw(&avatar, picture, &planes[from..], (format, &mut output)));
            if matches!(result, Err(BackendError::EncoderPanic)) {
                // Whatever the panic left half done.
                self = Self::default();
            }
            // Before the lane goes on, which may be the last to hold the avatar.
            drop((avatar, planes));
            tally.add(index, output, result);
        }
    }

    fn draw(
        &mut self,
        avatar: &LoadedAvatar,
        picture: usize,
        planes: &[u8],
        output: (FrameFormat, &mut PooledBuf),
    ) -> Result<(), BackendError> {
        let strip_px = avatar.strip_px(picture).ok_or(BackendError::Unloaded)?;
        let source = Source::Planes(packed_planes(strip_px, planes)?);
        let generator = avatar.models().generator;
        let patcher = match self.known.iter().position(|(known, _)| *known == generator) {
            Some(at) => &mut self.known[at].1,
            None => {
                if self.known.len() == MOST_AVATARS {
                    self.known.remove(0);
                }
                self.easel.fit(avatar);
                self.known.push((generator, Patcher::default()));
                let last = self.known.len() - 1;
                &mut self.known[last].1
            }
        };
        self.easel.draw(avatar, patcher, picture, source, output)
    }
}

impl Queue {
    /// The next job, or none once the pool is stopping and nothing waits.
    fn next(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stopping {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Nothing that can panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::avatar::{Bundle, Keep, TemplateOptions};
    use crate::backend::draw::takes_planes;
    use crate::backend::{Backend, CpuBackend};
    use crate::batch::BufferPool;
    use crate::picture::Quality;
    use crate::picture::template::{OnDemandTemplates, packed_len};

    fn avatar() -> Arc<LoadedAvatar> {
        let library = std::env::var_os("LIPSYNCD_ONNXRUNTIME").map(PathBuf::from);
        let backend = CpuBackend::new(library.as_deref(), 1).unwrap_or_else(|error| panic!("{error}"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/demo");
        let on_demand = Arc::new(OnDemandTemplates::new(1 << 20));
        let keep = Keep::Templates(TemplateOptions { quality: Quality::DEFAULT, cache_dir: None, on_demand });
        let backend: Arc<dyn Backend> = Arc::new(backend);
        let id = "demo".parse().unwrap();
        Arc::new(LoadedAvatar::load(id, &Bundle::open(&folder).unwrap(), backend, &keep, &|_| {}).unwrap())
    }

    #[test]
    fn a_frame_over_which_its_encoder_panics_has_failed_and_the_thread_goes_on() {
        let (encoders, avatar, tally) = (Encoders::start(1).unwrap(), avatar(), Tally::new(2));
        let format = FrameFormat::Jpeg(Quality::DEFAULT);
        let picture = (0..avatar.frame_count()).find(|&index| takes_planes(&avatar, index, format)).unwrap();
        let grey = vec![128; packed_len(avatar.strip_px(picture).unwrap())];
        let (planes, pool): (Arc<Planes>, _) = (Arc::new(grey), BufferPool::new(1 << 20));
        let job = |(index, from): (usize, usize)| {
            let (avatar, planes, tally) = (Arc::clone(&avatar), Arc::clone(&planes), Arc::clone(&tally));
            Job { avatar, picture, format, planes, from, output: pool.take(), index, tally }
        };
        // Where the planes end no frame begins.
        encoders.encode([(0, planes.len() + 1), (1, 0)].into_iter().map(job));
        let mut outputs = Vec::new();
        let mut failures = Vec::new();
        tally.collect(2, &mut outputs, |index, error| failures.push((index, error)));
        assert!(matches!(failures[..], [(0, BackendError::EncoderPanic)]), "{failures:?}");
        assert!(outputs[0].is_empty() && outputs[1].starts_with(&[0xFF, 0xD8]));
    }

    #[test]
    fn engines_that_come_and_go_leave_the_queue_as_large_as_one_needs() {
        let encoders = Encoders::start(1).unwrap();
        let capacity = || lock(&encoders.queue.state).jobs.capacity();
        (0..6).for_each(|_| encoders.reserve(32));
        let first = capacity();
        assert!((192..=384).contains(&first), "{first}");
        for _ in 0..20 {
            (0..6).for_each(|_| encoders.release(32));
            (0..6).for_each(|_| encoders.reserve(32));
        }
        assert_eq!(capacity(), first);
    }
}
