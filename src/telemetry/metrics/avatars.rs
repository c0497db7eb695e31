//! What the loaded avatars hold and have been used for. Their ids are the only labels that are not words of
//! ours; an avatar's series end when it is unloaded, so there are never more of them than avatars in memory.

use std::fmt;
use std::sync::Arc;

use super::encode::Encoder;
use crate::avatar::LoadedAvatar;
use crate::batch::Fleet;
use crate::rpc::Daemon;

pub(super) fn encode(to: &mut Encoder, daemon: &Daemon) -> fmt::Result {
    let registry = daemon.registry();
    let loaded = registry.all_loaded();
    let usage = || loaded.iter().map(|avatar| (label(avatar), avatar.usage()));
    let frames = usage().map(|(label, usage)| (label, usage.frames + usage.silent_frames));
    to.counters("lipsyncd_frames", "Frames made, since the avatar was loaded", frames)?;
    let silent = usage().map(|(label, usage)| (label, usage.silent_frames));
    let help = "Of these, frames in which nothing is heard that were made without a network";
    to.counters("lipsyncd_silent_frames", help, silent)?;
    let resident = loaded.iter().map(|avatar| (label(avatar), avatar.resident_bytes()));
    to.gauges("lipsyncd_resident_bytes", "Memory of the avatar's pictures and crops", resident)?;
    let leaving = "Memory of avatars that were unloaded and are still watched";
    to.gauge("lipsyncd_leaving_bytes", leaving, registry.leaving_bytes())?;
    to.gauge("lipsyncd_avatars_loaded", "Avatars in memory", loaded.len() as u64)?;
    let loads = registry.loads();
    let results = [
        ([("result", "loaded")], loads.loaded),
        ([("result", "failed")], loads.failed),
        ([("result", "no_room")], loads.no_room),
    ];
    to.counters("lipsyncd_avatar_loads", "Avatars loaded or not", results)?;
    let evictions = "Avatars let go to make room for others";
    to.counter("lipsyncd_avatar_evictions", evictions, loads.evicted)?;
    pools(to, &loaded)?;
    let everywhere: Vec<_> = loaded.iter().flat_map(|avatar| registry.replicas(avatar.id())).collect();
    capacity(to, &everywhere, daemon.fleet())
}

fn pools(to: &mut Encoder, loaded: &[Arc<LoadedAvatar>]) -> fmt::Result {
    let (mut free, mut lent, mut bytes) = (0, 0, 0);
    for avatar in loaded {
        let pool = avatar.jpeg_pool();
        let (pool_free, pool_lent) = pool.usage();
        free += pool_free;
        lent += pool_lent;
        bytes += (pool_free + pool_lent) * pool.buffer_bytes();
    }
    let buffers = [([("state", "free")], free as u64), ([("state", "lent")], lent as u64)];
    to.gauges("lipsyncd_pool_buffers", "Buffers for JPEGs, by whether one holds a frame", buffers)?;
    let size = "Address space of these buffers; only what is written takes memory";
    to.gauge("lipsyncd_pool_bytes", size, bytes as u64)
}

/// Of each avatar on each of its devices.
fn capacity(to: &mut Encoder, everywhere: &[Arc<LoadedAvatar>], fleet: &Fleet) -> fmt::Result {
    let figure = |avatar: &Arc<LoadedAvatar>| {
        let labels = [("avatar", avatar.id().to_string()), ("device", fleet.name(avatar.device()).to_owned())];
        Some((labels, fleet.engine_of(avatar).frames_per_second(avatar)?))
    };
    let figures: Vec<_> = everywhere.iter().filter_map(figure).collect();
    if figures.is_empty() {
        return Ok(());
    }
    let help = "Frames a second that all lanes of a device make together, as measured";
    to.gauges("lipsyncd_capacity_frames_per_second", help, figures)
}

fn label(avatar: &LoadedAvatar) -> [(&'static str, &str); 1] {
    [("avatar", avatar.id().as_str())]
}
