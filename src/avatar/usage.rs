//! What an avatar has been used for: counters that its sessions and lanes add to.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::LoadedAvatar;
use crate::batch::slot::StageTimes;

/// What an avatar has been used for, since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvatarUse {
    /// Sessions open now.
    pub sessions: usize,
    /// Sessions opened.
    pub requests: u64,
    /// Frames drawn by the networks.
    pub frames: u64,
    /// Frames beside these that were made of silent pictures.
    pub silent_frames: u64,
    /// Time those frames spent in the generator.
    pub network: Duration,
    /// Time they spent in compositing and encoding.
    pub composite: Duration,
    /// Unix seconds; 0 when never used.
    pub last_used_unix_s: i64,
}

/// The counters themselves.
#[derive(Default)]
pub(super) struct UseStats {
    sessions: AtomicUsize,
    requests: AtomicU64,
    frames: AtomicU64,
    silent_frames: AtomicU64,
    network_ns: AtomicU64,
    composite_ns: AtomicU64,
    last_used_unix_s: AtomicI64,
}

impl UseStats {
    fn read(&self) -> AvatarUse {
        AvatarUse {
            sessions: self.sessions.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            silent_frames: self.silent_frames.load(Ordering::Relaxed),
            network: Duration::from_nanos(self.network_ns.load(Ordering::Relaxed)),
            composite: Duration::from_nanos(self.composite_ns.load(Ordering::Relaxed)),
            last_used_unix_s: self.last_used_unix_s.load(Ordering::Relaxed),
        }
    }

    fn touch(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.last_used_unix_s.store(i64::try_from(now).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl LoadedAvatar {
    /// What it has been used for.
    #[must_use]
    pub fn usage(&self) -> AvatarUse {
        self.use_stats.read()
    }

    pub(crate) fn session_opened(&self) {
        self.use_stats.sessions.fetch_add(1, Ordering::Relaxed);
        self.use_stats.requests.fetch_add(1, Ordering::Relaxed);
        self.use_stats.touch();
    }

    pub(crate) fn session_closed(&self) {
        self.use_stats.sessions.fetch_sub(1, Ordering::Relaxed);
        self.use_stats.touch();
    }

    pub(crate) fn frame_done(&self, share: StageTimes) {
        let add = |counter: &AtomicU64, elapsed: Duration| {
            counter.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        self.use_stats.frames.fetch_add(1, Ordering::Relaxed);
        add(&self.use_stats.network_ns, share.network);
        add(&self.use_stats.composite_ns, share.composite);
    }

    pub(crate) fn silent_frame_done(&self) {
        self.use_stats.silent_frames.fetch_add(1, Ordering::Relaxed);
    }
}
