//! What each device has done: its queue, batches and lanes. Every series has the label `device`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::encode::Encoder;
use crate::batch::Engine;
use crate::rpc::Daemon;
use crate::telemetry::device::DeviceRecorder;
use crate::telemetry::heap;
use crate::telemetry::histogram::Histogram;
use crate::telemetry::label::{ByLabel, Label, WorkClass};

/// A device's name.
type Named<'a> = (&'a str, &'a Engine);

pub(super) fn encode(to: &mut Encoder, daemon: &Daemon) -> fmt::Result {
    let devices: Vec<Named> = daemon.fleet().named().collect();
    let devices = devices.as_slice();
    batches(to, devices)?;
    lanes(to, devices)?;
    let load = devices.iter().map(|(name, engine)| (of(name), daemon.live_load(engine)));
    to.gauges("lipsyncd_device_live_load", "Part of the device that its live streams are expected to take", load)?;
    let sessions = devices.iter().flat_map(|(name, engine)| {
        let (live, whole) = engine.open_sessions();
        [with(name, "kind", "live", live as u64), with(name, "kind", "whole", whole as u64)]
    });
    to.gauges("lipsyncd_device_sessions", "Sessions that draw on the device", sessions)?;
    memory(to, devices)?;
    let kept: Vec<_> =
        devices.iter().filter_map(|(name, engine)| Some((of(name), engine.backend().kept_bytes()?))).collect();
    if !kept.is_empty() {
        to.gauges(
            "lipsyncd_picture_cache_bytes",
            "Memory of what generators make of pictures before they hear anything",
            kept,
        )?;
    }
    to.gauge(
        "lipsyncd_heap_bytes",
        "Memory allocated on the heap and not freed, but for what NVIDIA's libraries and ONNX Runtime hold",
        heap::bytes(),
    )?;
    to.counter("lipsyncd_heap_allocations", "Heap allocations of the whole process", heap::allocations())
}

fn batches(to: &mut Encoder, devices: &[Named]) -> fmt::Result {
    let depth = devices.iter().flat_map(|(name, engine)| {
        let (windows, frames) = engine.waiting();
        [with(name, "kind", "window", windows as u64), with(name, "kind", "frame", frames as u64)]
    });
    to.gauges("lipsyncd_queue_depth", "Windows and frames that wait for a lane", depth)?;
    let windows = devices.iter().map(|(name, engine)| (of(name), engine.device_recorder().items(WorkClass::Window)));
    to.counters("lipsyncd_windows", "Mel windows encoded", windows)?;
    let sizes = || histograms(devices, "kind", |device| &device.batch_size);
    to.counters("lipsyncd_batches", "Batches done", sizes().map(|(labels, sizes)| (labels, sizes.count())))?;
    let failed = counts(devices, "kind", |device| &device.failed_batches);
    to.counters("lipsyncd_batches_failed", "Batches that ended their sessions", failed)?;
    to.histograms("lipsyncd_batch_size", "Items in a batch", sizes())?;
    let waits = histograms(devices, "kind", |device| &device.queue_wait);
    to.histograms("lipsyncd_queue_wait_seconds", "Time from being queued to being staged", waits)?;
    let stages = histograms(devices, "stage", |device| &device.stages);
    to.histograms("lipsyncd_stage_seconds", "Time of a whole batch in each stage", stages)
}

fn lanes(to: &mut Encoder, devices: &[Named]) -> fmt::Result {
    let slots = devices.iter().map(|(name, engine)| (of(name), engine.options().slots as u64));
    to.gauges("lipsyncd_lanes", "Lanes: batches that can be in flight", slots)?;
    let now: Vec<_> = devices.iter().map(|(name, engine)| (of(name), engine.device_recorder().lanes())).collect();
    let busy = now.iter().map(|(name, lanes)| (*name, lanes.busy as u64));
    to.gauges("lipsyncd_lanes_busy", "Lanes with a batch at this moment", busy)?;
    let seconds = now.iter().map(|(name, lanes)| (*name, lanes.busy_total.as_secs_f64()));
    to.counters("lipsyncd_lane_busy_seconds", "Time of all lanes together on batches", seconds)?;
    let warm = now.iter().map(|(name, lanes)| (*name, lanes.warm_allocations));
    let help = "Heap allocations of lanes during batches, since each lane's 50th batch; grows only when a lane meets an \
                avatar for the first time";
    to.gauges("lipsyncd_heap_allocations_since_warmup", help, warm)
}

fn memory(to: &mut Encoder, devices: &[Named]) -> fmt::Result {
    let figures = devices.iter().filter_map(|(name, engine)| Some((name, engine.backend().memory()?)));
    let figures = figures.flat_map(|(name, memory)| {
        [with(name, "state", "free", memory.free_bytes), with(name, "state", "used", memory.used_bytes())]
    });
    let figures: Vec<_> = figures.collect();
    if figures.is_empty() {
        return Ok(());
    }
    to.gauges("lipsyncd_device_memory_bytes", "Memory of the device's own", figures)
}

fn of(name: &str) -> [(&'static str, &str); 1] {
    [("device", name)]
}

type Pair<'a> = [(&'static str, &'a str); 2];

fn with<'a>(name: &'a str, key: &'static str, word: &'static str, value: u64) -> (Pair<'a>, u64) {
    ([("device", name), (key, word)], value)
}

fn counts<'a, L: Label>(
    devices: &'a [Named<'a>],
    key: &'static str,
    counts: impl Fn(&'a DeviceRecorder) -> &'a ByLabel<L, AtomicU64>,
) -> impl Iterator<Item = (Pair<'a>, u64)> {
    devices.iter().flat_map(move |(name, engine)| {
        counts(engine.device_recorder())
            .iter()
            .map(move |(word, count)| with(name, key, word, count.load(Ordering::Relaxed)))
    })
}

fn histograms<'a, L: Label>(
    devices: &'a [Named<'a>],
    key: &'static str,
    histograms: impl Fn(&'a DeviceRecorder) -> &'a ByLabel<L, Histogram>,
) -> impl Iterator<Item = (Pair<'a>, &'a Histogram)> {
    devices.iter().flat_map(move |(name, engine)| {
        histograms(engine.device_recorder())
            .iter()
            .map(move |(word, histogram)| ([("device", *name), (key, word)], histogram))
    })
}
