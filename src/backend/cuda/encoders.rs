//! The threads that encode and splice what comes back from the GPU, one compressor each: a batch's strips at once, so that a lane is soon
//! free for its next batch and a frame soon with its viewer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::avatar::LoadedAvatar;
use crate::backend::draw::{Easel, Patchers, Source};
use crate::backend::{BackendError, FrameFormat, ModelId};
use crate::batch::PooledBuf;
use crate::cuda::PinnedDown;
use crate::picture::template::packed_planes;

/// Avatars whose compressors a thread keeps; beyond them the one met longest ago is given up.
const MOST_AVATARS: usize = 64;

/// One strip to encode.
pub(super) struct Job {
    pub avatar: Arc<LoadedAvatar>,
    pub picture: usize,
    pub format: FrameFormat,
    /// Planes of a batch, of which this frame's begin at `from`.
    pub planes: Arc<PinnedDown<u8>>,
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
    /// Their outputs go to `outputs`, in the batch's order, the failed ones empty; the first failure is returned.
    pub(super) fn collect(&self, count: usize, outputs: &mut Vec<PooledBuf>) -> Result<(), BackendError> {
        let mut done = lock(&self.done);
        while done.len() < count {
            done = self.more.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        done.sort_unstable_by_key(|done| done.index);
        let mut first = Ok(());
        for done in done.drain(..) {
            outputs.push(done.output);
            first = first.and(done.result);
        }
        first
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

/// A frame that is added to its batch's tally, come what may.
struct Finish {
    tally: Arc<Tally>,
    index: usize,
    output: Option<PooledBuf>,
    result: Result<(), BackendError>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            self.tally.add(self.index, output, std::mem::replace(&mut self.result, Ok(())));
        }
    }
}

/// One thread's tools.
#[derive(Default)]
struct Encoder {
    easel: Easel,
    /// Compressors by generator: each loaded avatar has one of its own.
    known: Vec<(ModelId, Patchers)>,
}

impl Encoder {
    fn run(mut self, queue: &Queue) {
        while let Some(job) = queue.next() {
            let Job { avatar, picture, format, planes, from, output, index, tally } = job;
            // Counted even if this thread panics, so that the batch's lane does not wait for ever.
            let mut finish = Finish { tally, index, output: Some(output), result: Err(BackendError::Unloaded) };
            if let Some(output) = &mut finish.output {
                finish.result = self.draw(&avatar, picture, &planes[from..], (format, output));
            }
            // Before the lane goes on, which may be the last to hold the avatar.
            drop((avatar, planes));
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
        let patchers = match self.known.iter().position(|(known, _)| *known == generator) {
            Some(at) => &mut self.known[at].1,
            None => {
                if self.known.len() == MOST_AVATARS {
                    self.known.remove(0);
                }
                self.easel.fit(avatar);
                self.known.push((generator, Patchers::default()));
                let last = self.known.len() - 1;
                &mut self.known[last].1
            }
        };
        self.easel.draw(avatar, patchers, picture, source, output)
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
    use super::*;

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
