//! Devices that are measured again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Daemon;
use crate::avatar::LoadedAvatar;
use crate::batch::AdmissionLimits;

/// Time between the beginnings of two such measurements.
const PAUSE: Duration = Duration::from_secs(5);

impl Daemon {
    /// Has devices that do nothing now, and yet have no room for a live stream of one of these `replicas`, measured again, for the next who
    /// comes: what they were measured by may have been drawn while something else kept this machine busy, and until so many are let in that
    /// all lanes are at work at once nothing else would correct it. Those who speak meanwhile go first, and wait for the end of a small batch at most.
    pub(super) fn measure_idle(
        self: &Arc<Self>,
        replicas: Vec<Arc<LoadedAvatar>>,
        waits: bool,
        limits: AdmissionLimits,
    ) {
        let is_refused_idle = |avatar: &Arc<LoadedAvatar>| {
            let engine = self.fleet.engine_of(avatar);
            let refused = engine.has_room(avatar, waits, limits).err();
            refused.is_some_and(|overload| overload.streams == 0 || engine.is_idle())
        };
        let idle: Vec<_> = replicas.into_iter().filter(is_refused_idle).collect();
        if idle.is_empty() || self.measuring.swap(true, Ordering::AcqRel) {
            return;
        }
        let daemon = Arc::clone(self);
        tokio::spawn(async move {
            let pause = tokio::time::sleep(PAUSE);
            for avatar in idle {
                tracing::info!(avatar = %avatar.id(), "a device that has nothing to do had no room for it; it is measured again");
                if let Err(error) = daemon.try_out(&avatar).await {
                    tracing::warn!(avatar = %avatar.id(), "it could not be drawn: {error}");
                }
            }
            pause.await;
            daemon.measuring.store(false, Ordering::Release);
        });
    }
}
