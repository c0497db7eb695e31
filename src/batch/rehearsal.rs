//! Some seconds of noise through the whole pipeline when an avatar is loaded: its networks and buffers are warm before the
//! first viewer comes, and what its frames cost is known to admission.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::Engine;
use crate::avatar::LoadedAvatar;
use crate::backend::FrameFormat;
use crate::session::{Event, FrameReader, Intake, Pace, SessionEnded, SessionError, SessionOptions};

/// Noise that is sent, seconds beyond that of the frames wanted.
const SOUND_SECONDS: usize = 2;

/// Rounds of all lanes that are run at least, the first of which warms up.
const LEAST_ROUNDS: usize = 3;

/// After this, `LEAST_ROUNDS` are enough.
const ENOUGH: Duration = Duration::from_millis(300);

/// After this, whatever was measured has to do: others keep the device busy.
const LONGEST: Duration = Duration::from_secs(3);

/// What drawing all pictures once may take.
const LONGEST_LOOP: Duration = Duration::from_secs(20);

/// Draws some frames of `avatar` as `format` with what live sessions leave of `engine`, which notes what they cost.
///
/// # Errors
/// [`SessionError`] when they cannot be drawn, as the device has no room for the lanes' buffers, say: no viewer's could be.
pub async fn rehearse(engine: &Engine, avatar: &Arc<LoadedAvatar>, format: FrameFormat) -> Result<(), SessionError> {
    let least = LEAST_ROUNDS * engine.options().slots * engine.options().limits.max_frames;
    let begun = Instant::now();
    let enough = |frames| frames >= least && begun.elapsed() >= ENOUGH;
    play(engine, avatar, (format, least), LONGEST, enough).await
}

/// Draws the pictures of `avatar` once as [`rehearse`] does, where the backend keeps what its generator makes of them and as many as it
/// has room for: for avatars that are loaded before anybody waits for them.
///
/// # Errors
/// As [`rehearse`].
pub async fn rehearse_pictures(
    engine: &Engine,
    avatar: &Arc<LoadedAvatar>,
    format: FrameFormat,
) -> Result<(), SessionError> {
    let all_kept = || engine.backend().pictures_to_keep(avatar.models()) == 0;
    if all_kept() {
        return Ok(());
    }
    play(engine, avatar, (format, avatar.frame_count()), LONGEST_LOOP, |_| all_kept()).await
}

/// Takes frames until there are `enough` or it has taken `longest`; there are `most` at least.
async fn play(
    engine: &Engine,
    avatar: &Arc<LoadedAvatar>,
    (format, most): (FrameFormat, usize),
    longest: Duration,
    enough: impl Fn(usize) -> bool,
) -> Result<(), SessionError> {
    let rate = avatar.sample_rate_hz();
    let options = SessionOptions {
        pace: Pace::Rehearsal,
        outbox_frames: engine.bulk_outbox(),
        ..SessionOptions::new(format, rate)
    };
    let Ok((intake, reader)) = engine.open_session(Arc::clone(avatar), options) else { return Ok(()) };
    let seconds = SOUND_SECONDS + most / avatar.fps().max(1) as usize;
    let sound = noise(seconds * rate as usize);
    let rehearsal = async { tokio::join!(watch(reader, enough), speak(intake, &sound)) };
    // What it has not drawn by then is dropped with it.
    tokio::time::timeout(longest, rehearsal).await.map_or(Ok(()), |(watched, _)| watched)
}

async fn speak(mut intake: Intake, sound: &[f32]) -> Result<(), SessionEnded> {
    intake.push(sound).await?;
    intake.finish().await
}

async fn watch(mut reader: FrameReader, enough: impl Fn(usize) -> bool) -> Result<(), SessionError> {
    let mut frames = 0;
    while let Some(Event::Frame(_)) = reader.next().await.transpose()? {
        frames += 1;
        if enough(frames) {
            break;
        }
    }
    Ok(())
}

/// Uniform noise, so that no frame is one of silence. A linear congruential generator (Knuth's MMIX constants) will do.
fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| next()).collect()
}
