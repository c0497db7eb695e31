//! One thread per slot: stage, submit, complete, deliver, and again.
//!
//! While one lane waits for its device, the others stage and deliver: that is the whole overlap. A lane
//! touches a session only under the session's own short lock, and never two at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::EngineStats;
use super::policy::BatchKey;
use super::queue::WorkQueue;
use super::slot::{Filled, Free, Ready, Slot, StageTimes};
use super::work::WorkKind;
use crate::audio::WINDOW_MEL_FRAMES;
use crate::backend::Lane;

/// Carries batches until the queue stops.
pub(super) fn run(queue: &WorkQueue, stats: &EngineStats, mut lane: Box<dyn Lane>, mut slot: Slot<Free>) {
    // Gathers a window's mel frames from the session's ring before they are transposed.
    let mut scratch = vec![0.0; slot.shape().window_len];
    while let Some(key) = queue.take(slot.work_mut()) {
        let start = Instant::now();
        let filled = stage(slot, key, &mut scratch);
        slot = if filled.is_empty() {
            filled.abandon()
        } else {
            let flying = lane.submit(filled);
            let mut ready = lane.complete(flying);
            deliver(&mut ready, stats);
            queue.costs().note(key, ready.len(), start.elapsed());
            ready.recycle()
        };
        queue.done();
    }
}

fn stage(slot: Slot<Free>, key: BatchKey, scratch: &mut [f32]) -> Slot<Filled> {
    let avatar = slot.first_avatar();
    match (key, avatar) {
        (BatchKey::Render(_), Some(avatar)) => slot.fill_frames(avatar, |work, context| match work.kind {
            WorkKind::Frame(index) => work.session.stage_frame(work, index, context),
            WorkKind::Window(_) => None,
        }),
        (BatchKey::Render(model) | BatchKey::Encode(model), avatar) => {
            let mels = avatar.map_or(0, |avatar| avatar.mels());
            slot.fill_windows(model, mels * WINDOW_MEL_FRAMES, |work, window| match work.kind {
                WorkKind::Window(index) => work.session.stage_window(work, index, scratch, window),
                WorkKind::Frame(_) => false,
            })
        }
    }
}

fn deliver(ready: &mut Slot<Ready>, stats: &EngineStats) {
    match ready.outcome() {
        Err(error) => {
            tracing::error!("a batch of {} failed: {error}", ready.len());
            for work in ready.work() {
                work.session.fail(work, error);
            }
        }
        Ok(times) => {
            let share = share_of(times, ready.len());
            // Counted first: whoever has the frame finds it in the figures.
            stats.batch_done(ready.kind_counts());
            ready.each_feature(|work, feature| {
                if let WorkKind::Window(index) = work.kind {
                    work.session.add_times(share);
                    work.session.put_feature(work, index, feature);
                }
            });
            let now = Instant::now();
            ready.each_frame(|work, picture| {
                if let WorkKind::Frame(index) = work.kind {
                    if work.due.is_some_and(|due| now > due) {
                        stats.frame_late();
                    }
                    work.session.add_times(share);
                    work.session.avatar().frame_done(share);
                    work.session.put_frame(work, index, picture);
                }
            });
        }
    }
}

/// One item's share of its batch's times.
fn share_of(times: StageTimes, items: usize) -> StageTimes {
    let each = |total: Duration| total / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
    StageTimes { network: each(times.network), composite: each(times.composite) }
}

/// Ends every session whose work the queue still holds, when its lane panicked: a bug of ours, and the
/// sessions must not wait for ever.
pub(super) struct PanicGuard {
    pub(super) queue: Arc<WorkQueue>,
    pub(super) stats: Arc<EngineStats>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stats.mark_broken();
            self.queue.stop();
        }
    }
}
