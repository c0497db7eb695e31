//! One thread per slot: stage, submit, complete, deliver, and again.
//!
//! While one lane waits for its device, the others stage and deliver: that is the whole overlap. A lane
//! touches a session only under the session's own short lock, and never two at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::policy::BatchKey;
use super::queue::WorkQueue;
use super::slot::{Filled, Free, Ready, Slot, StageTimes};
use super::warm::Warm;
use super::work::{Work, WorkKind};
use crate::audio::WINDOW_MEL_FRAMES;
use crate::backend::Lane;
use crate::cuda::nvtx::range;
use crate::telemetry::label::Label as _;
use crate::telemetry::{DeviceRecorder, Stage, WorkClass};

/// Carries batches until the queue stops.
pub(super) fn run(whole: &PanicGuard, mut lane: Box<dyn Lane>, mut slot: Slot<Free>) {
    let device = whole.queue.device_recorder();
    let mut meter = device.open_lane();
    // Gathers a window's mel frames from the session's ring before they are transposed.
    let mut scratch = vec![0.0; slot.shape().window_len];
    let (mut warm, mut rests) = (Warm::default(), 0);
    while let Some(key) = whole.queue.take(slot.work_mut(), &mut rests, || lane.rest()) {
        meter.begin();
        let _span = span_of(key, &mut slot).entered();
        let taken = Instant::now();
        note_waits(key, &mut slot, device, taken);
        let filled = {
            let _range = range(c"stage");
            stage(slot, key, &mut scratch)
        };
        let staged = taken.elapsed();
        let (mut ran, mut in_flight) = (0, None);
        slot = if filled.is_empty() {
            filled.abandon()
        } else {
            let network = match key {
                BatchKey::Encode(_) => c"encode",
                BatchKey::Render(_) => c"generate",
            };
            let range_of_network = range(network);
            let flying = lane.submit(filled);
            // The next batch may have the device while this one is encoded.
            in_flight = lane.settle(&flying).then(|| whole.queue.done());
            drop(range_of_network);
            let mut ready = {
                let _range = range(c"composite");
                lane.complete(flying)
            };
            let start = Instant::now();
            let _range = range(c"deliver");
            if deliver(&mut ready, class_of(key), whole) {
                device.stage_done(Stage::Stage, staged);
                device.stage_done(Stage::Deliver, start.elapsed());
            }
            // What failed took no time, or a time that says nothing.
            ran = if ready.outcome().is_ok() && ready.first_failure().is_none() { ready.len() } else { 0 };
            ready.recycle()
        };
        meter.end();
        let elapsed = taken.elapsed();
        let in_flight = in_flight.unwrap_or_else(|| whole.queue.done());
        if ran > 0 && warm.ran(key, ran) {
            whole.queue.costs().note(key, ran, elapsed);
            if in_flight >= whole.queue.lanes() {
                whole.queue.crowded_costs().note(key, ran, elapsed);
            }
        }
    }
}

/// The span of one batch, at level debug; where that is off, its fields are not even looked at. What is counted nowhere has none.
fn span_of(key: BatchKey, slot: &mut Slot<Free>) -> tracing::Span {
    if slot.work_mut().iter().all(Work::is_unseen) {
        return tracing::Span::none();
    }
    tracing::debug_span!(
        "batch",
        kind = class_of(key).word(),
        items = slot.len(),
        avatar = slot.first_avatar().as_ref().map(|avatar| tracing::field::display(avatar.id())),
    )
}

fn class_of(key: BatchKey) -> WorkClass {
    match key {
        BatchKey::Encode(_) => WorkClass::Window,
        BatchKey::Render(_) => WorkClass::Frame,
    }
}

fn note_waits(key: BatchKey, slot: &mut Slot<Free>, device: &DeviceRecorder, now: Instant) {
    for work in slot.work_mut().iter().filter(|work| !work.is_unseen()) {
        device.waited(class_of(key), now.saturating_duration_since(work.queued_at));
    }
}

fn stage(slot: Slot<Free>, key: BatchKey, scratch: &mut [f32]) -> Slot<Filled> {
    let avatar = slot.first_avatar();
    match (key, avatar) {
        (BatchKey::Render(_), Some(avatar)) => slot.fill_frames(avatar, |work, context| match &work.kind {
            WorkKind::Frame(index) => work.session.stage_frame(work, *index, context),
            WorkKind::Closing { round, frame } => work.session.stage_closing(work, (*round, *frame), context),
            WorkKind::Silence(claim) => work.session.stage_silent_picture(work, claim, context),
            WorkKind::Window(_) => None,
        }),
        (BatchKey::Render(model) | BatchKey::Encode(model), avatar) => {
            let mels = avatar.map_or(0, |avatar| avatar.mels());
            slot.fill_windows(model, mels * WINDOW_MEL_FRAMES, |work, window| match &work.kind {
                WorkKind::Window(index) => work.session.stage_window(work, *index, scratch, window),
                WorkKind::Silence(_) => work.session.stage_silent_window(work, window),
                WorkKind::Frame(_) | WorkKind::Closing { .. } => false,
            })
        }
    }
}

/// Hands out what the batch made. False when all of it is counted nowhere.
fn deliver(ready: &mut Slot<Ready>, class: WorkClass, whole: &PanicGuard) -> bool {
    let seen = ready.seen();
    match ready.outcome() {
        Err(error) => {
            // What nobody saw is told to the load that it was for.
            if seen > 0 {
                tracing::error!("a batch of {} failed: {error}", ready.len());
                whole.queue.device_recorder().batch_failed(class);
            }
            for work in ready.work() {
                work.session.fail(work, error);
            }
        }
        Ok(times) => {
            let share = share_of(times, ready.len());
            if let Some(error) = ready.first_failure().filter(|_| seen > 0) {
                tracing::error!("a frame failed: {error}");
                whole.queue.device_recorder().batch_failed(class);
            }
            // Counted first: whoever has the frame finds it in the figures.
            if seen > 0 {
                record(whole.queue.device_recorder(), class, seen, times);
            }
            ready.each_feature(|work, feature| {
                work.session.add_times(share);
                match &work.kind {
                    WorkKind::Window(index) => work.session.put_feature(work, *index, feature, times),
                    WorkKind::Silence(_) => work.session.put_silent_feature(feature),
                    WorkKind::Frame(_) | WorkKind::Closing { .. } => {}
                }
            });
            let (now, recorder) = (Instant::now(), whole.queue.recorder());
            ready.each_frame(|work, picture| {
                let picture = match picture {
                    Ok(picture) => picture,
                    Err(error) => return work.session.fail(work, error),
                };
                if let Some(due) = work.due.filter(|_| !work.is_unseen()) {
                    recorder.frame_due(now.saturating_duration_since(due));
                }
                work.session.add_times(share);
                if !work.is_unseen() {
                    work.session.avatar().frame_done(share);
                }
                match &work.kind {
                    WorkKind::Frame(index) => work.session.put_frame(work, *index, picture, times),
                    WorkKind::Closing { round, frame } => work.session.put_closing(work, (*round, *frame), picture),
                    WorkKind::Silence(claim) => work.session.put_silent_picture(claim, &picture),
                    WorkKind::Window(_) => {}
                }
            });
        }
    }
    seen > 0
}

fn record(device: &DeviceRecorder, class: WorkClass, items: usize, times: StageTimes) {
    device.batch_done(class, items);
    match class {
        WorkClass::Window => device.stage_done(Stage::Encode, times.network),
        WorkClass::Frame => {
            device.stage_done(Stage::Generate, times.network);
            device.stage_done(Stage::Composite, times.composite);
        }
    }
}

/// One item's share of its batch's times.
fn share_of(times: StageTimes, items: usize) -> StageTimes {
    let each = |total: Duration| total / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
    StageTimes { network: each(times.network), composite: each(times.composite) }
}

/// Ends the engine's sessions when a lane panicked: a bug of ours, and they must not wait for ever.
pub(super) struct PanicGuard {
    pub(super) queue: Arc<WorkQueue>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.health().break_down("a lane panicked, and the daemon's log says why");
            self.queue.stop();
        }
    }
}
