//! What the queue, the lanes and the sessions have done.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::encode::Encoder;
use crate::rpc::Daemon;
use crate::telemetry::heap;
use crate::telemetry::label::{ByLabel, Label};
use crate::telemetry::recorder::Recorder;

/// The queue, batches and lanes.
pub(super) fn batches(to: &mut Encoder, daemon: &Daemon, recorder: &Recorder) -> fmt::Result {
    let (windows, frames) = daemon.engine().waiting();
    let depth = [([("kind", "window")], windows as u64), ([("kind", "frame")], frames as u64)];
    to.gauges("lipsyncd_queue_depth", "Windows and frames that wait for a lane", depth)?;
    to.counter("lipsyncd_windows", "Mel windows encoded", daemon.engine().stats().windows())?;
    to.counters("lipsyncd_batches", "Batches done", by("kind", &recorder.batches))?;
    to.counters("lipsyncd_batches_failed", "Batches that ended their sessions", by("kind", &recorder.failed_batches))?;
    to.histograms("lipsyncd_batch_size", "Items in a batch", "kind", recorder.batch_size.iter())?;
    let wait = "Time from being queued to being staged";
    to.histograms("lipsyncd_queue_wait_seconds", wait, "kind", recorder.queue_wait.iter())?;
    let stages = "Time of a whole batch in each stage";
    to.histograms("lipsyncd_stage_seconds", stages, "stage", recorder.stages.iter())?;
    let lanes = recorder.lanes();
    to.gauge("lipsyncd_lanes", "Lanes: batches that can be in flight", daemon.engine().options().slots as u64)?;
    to.gauge("lipsyncd_lanes_busy", "Lanes with a batch at this moment", lanes.busy as u64)?;
    let busy = "Time of all lanes together on batches";
    to.counter("lipsyncd_lane_busy_seconds", busy, lanes.busy_total.as_secs_f64())?;
    to.counter("lipsyncd_heap_allocations", "Heap allocations of the whole process", heap::allocations())?;
    let warm = "Heap allocations of lanes during batches, since each lane's 50th batch; grows only when a lane meets \
                an avatar for the first time";
    to.gauge("lipsyncd_heap_allocations_since_warmup", warm, lanes.warm_allocations)
}

/// Sessions, their sound and their frames.
pub(super) fn sessions(to: &mut Encoder, daemon: &Daemon, recorder: &Recorder) -> fmt::Result {
    to.gauge("lipsyncd_sessions", "Sessions open now", daemon.sessions() as u64)?;
    let states = recorder.states.iter().map(|(word, count)| ([("state", word)], count.load(Ordering::Relaxed)));
    to.gauges("lipsyncd_sessions_in_state", "Sessions open now, by what they are doing", states)?;
    let ended = recorder.calls.iter().flat_map(|(kind, ends)| {
        ends.iter().map(move |(end, count)| ([("kind", kind), ("end", end)], count.load(Ordering::Relaxed)))
    });
    to.counters("lipsyncd_sessions_ended", "Sessions that are over", ended)?;
    to.counters("lipsyncd_refusals", "Calls refused before they had a session", by("reason", &recorder.refusals))?;
    to.counter("lipsyncd_interrupts", "Utterances cut by their clients", read(&recorder.interrupts))?;
    let seconds = read(&recorder.audio_ns) as f64 * 1e-9;
    to.counter("lipsyncd_audio_seconds", "Sound taken in, at its own speed", seconds)?;
    to.counter("lipsyncd_sent_bytes", "Bytes of frames handed to clients' streams", read(&recorder.sent_bytes))?;
    to.counter("lipsyncd_deadline_misses", "Frames ready after their deadline", read(&recorder.deadline_misses))?;
    let lateness = "How long after its deadline a frame was ready, 0 for one in time; its count is every frame with \
                    a deadline";
    to.histogram("lipsyncd_lateness_seconds", lateness, &recorder.lateness)?;
    let first = "Time from an utterance's first sample to its first frame";
    to.histogram("lipsyncd_first_frame_seconds", first, &recorder.first_frame)?;
    let loaded = daemon.registry().all_loaded();
    match loaded.iter().filter_map(|avatar| daemon.capacity_streams(avatar)).min_by(f64::total_cmp) {
        Some(streams) => {
            let help = "Live streams that speak all the time which this machine carries of its dearest loaded avatar, as measured";
            to.gauge("lipsyncd_capacity_sessions", help, streams)
        }
        None => Ok(()),
    }
}

fn by<L: Label>(
    key: &'static str,
    counts: &ByLabel<L, AtomicU64>,
) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
    counts.iter().map(move |(word, count)| ([(key, word)], read(count)))
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
