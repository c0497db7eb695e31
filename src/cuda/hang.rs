//! What of the driver does not come back, for whoever waits for it with nothing else to tell: a daemon that starts.

use std::time::Duration;

use super::{context, driver};

/// Nothing takes a GPU so long: the largest batch takes a tenth of a second on the smallest.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the driver may take to start, or to open a GPU. Where nothing keeps the GPUs initialised (persistence mode), each takes seconds, and there
/// may be sixteen.
pub const LONGEST_START: Duration = Duration::from_secs(120);

/// What has not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Hang {
    /// The driver itself, first of all `cuInit`.
    #[error("the NVIDIA driver has not started for {} s; see what nvidia-smi says", .0.as_secs())]
    Start(Duration),
    /// A GPU that is being opened, first of all `cuDevicePrimaryCtxRetain`.
    #[error("the NVIDIA driver has not opened GPU {gpu} for {} s; see what nvidia-smi says", waited.as_secs())]
    Open {
        /// CUDA ordinal.
        gpu: u32,
        /// So far.
        waited: Duration,
    },
    /// A GPU that was opened.
    #[error("GPU {gpu} has not answered for {} s", waited.as_secs())]
    Gpu {
        /// CUDA ordinal.
        gpu: u32,
        /// So far.
        waited: Duration,
    },
}

/// What hangs, where anything does; to be asked every [`super::GLANCE`]. It asks nothing of the driver. The loading and the compiling of kernels
/// may take as long as they like.
#[must_use]
pub fn hang() -> Option<Hang> {
    judge(driver::starting(), context::opening(), context::waits())
}

fn judge(starting: Duration, (gpu, opening): (u32, Duration), opened: Vec<(u32, Duration)>) -> Option<Hang> {
    if starting >= LONGEST_START {
        return Some(Hang::Start(starting));
    }
    if opening >= LONGEST_START {
        return Some(Hang::Open { gpu, waited: opening });
    }
    let (gpu, waited) = opened.into_iter().find(|(_, waited)| *waited >= LONGEST_WAIT)?;
    Some(Hang::Gpu { gpu, waited })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_gets_two_minutes_a_gpu_that_is_open_half_of_one_and_what_hangs_is_named() {
        let seconds = Duration::from_secs;
        let at_rest = vec![(0, seconds(0)), (1, seconds(29))];
        assert_eq!(judge(seconds(119), (1, seconds(119)), at_rest.clone()), None);
        let said = |hang: Option<Hang>| hang.unwrap().to_string();
        let start = said(judge(seconds(120), (0, seconds(0)), Vec::new()));
        assert!(start.contains("driver has not started for 120 s") && start.contains("nvidia-smi"), "{start}");
        let open = said(judge(seconds(0), (3, seconds(121)), at_rest));
        assert!(open.contains("not opened GPU 3 for 121 s") && open.contains("nvidia-smi"), "{open}");
        let gpu = said(judge(seconds(0), (1, seconds(0)), vec![(0, seconds(29)), (1, seconds(30))]));
        assert_eq!(gpu, "GPU 1 has not answered for 30 s");
    }
}
