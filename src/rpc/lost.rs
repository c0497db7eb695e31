//! How a daemon of several devices ends when one of them is lost.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::batch::{Engine, Fleet};

/// What clients get to hear that their sessions have ended, and to read of what was made for them.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often the calls on the other devices are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Completes when a device is lost and the sessions on the others are over, or have had `drain` to end; new ones are to be refused
/// meanwhile. The sessions on what is lost are not waited for: they may never end.
pub async fn lost(fleet: &Fleet, drain: Duration) {
    fleet.broken().await;
    let others_end = async {
        while open_on_others(fleet) > 0 {
            sleep(LOOK).await;
        }
    };
    // Those that are not over are cut off.
    let _ = timeout(drain, others_end).await;
    sleep(LAST_WORDS).await;
}

fn open_on_others(fleet: &Fleet) -> usize {
    let others = fleet.engines().iter().filter(|engine| !engine.is_broken());
    others.map(Engine::open_sessions).map(|(live, whole)| live + whole).sum()
}
