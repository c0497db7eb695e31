//! What sessions and calls have done, whichever device they are on.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::encode::Encoder;
use crate::rpc::Daemon;
use crate::telemetry::label::{ByLabel, Label};

/// Sessions, their sound and their frames.
pub(super) fn encode(to: &mut Encoder, daemon: &Daemon) -> fmt::Result {
    let recorder = daemon.fleet().recorder();
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
    let parts = recorder.first_parts.iter().map(|(word, histogram)| ([("part", word)], histogram));
    to.histograms("lipsyncd_first_frame_part_seconds", "Where that time went, one part after the other", parts)?;
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
