//! Some seconds of noise through the whole pipeline when an avatar is loaded: its networks and buffers are warm before the
//! first viewer comes, and what its frames cost is known to admission.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::engine::Engine;
use crate::avatar::LoadedAvatar;
use crate::backend::FrameFormat;
use crate::session::{Event, FrameReader, Intake, Pace, SessionEnded, SessionError, SessionOptions};

/// Noise that is sent, seconds beyond that of the frames wanted.
const SOUND_SECONDS: usize = 2;

/// Rounds of all lanes that are run at least, the first of which warms up.
const LEAST_ROUNDS: usize = 3;

/// So long after the first frame, `LEAST_ROUNDS` are enough.
const ENOUGH: Duration = Duration::from_millis(300);

/// So long after it, whatever was measured has to do: others keep the device busy.
const LONGEST: Duration = Duration::from_secs(3);

/// What the first frame may take. An engine that looks for the fastest way to run each layer takes seconds for every slot.
const LONGEST_FIRST: Duration = Duration::from_secs(60);

/// What drawing all pictures once may take.
const LONGEST_LOOP: Duration = Duration::from_secs(20);

/// Draws some frames of `avatar` as `format` with what live sessions leave of `engine`, which notes what they cost.
///
/// # Errors
/// [`SessionError`] when they cannot be drawn, as the device has no room for the lanes' buffers, say: no viewer's could be.
pub async fn rehearse(engine: &Engine, avatar: &Arc<LoadedAvatar>, format: FrameFormat) -> Result<(), SessionError> {
    let least = LEAST_ROUNDS * engine.options().slots * engine.options().limits.max_frames;
    let enough = |frames, since_first| frames >= least && since_first >= ENOUGH;
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
    play(engine, avatar, (format, avatar.frame_count()), LONGEST_LOOP, |_, _| all_kept()).await
}

/// Takes frames until there are `enough` for the time since the first, or `longest` has passed since; there are `most` at least.
async fn play(
    engine: &Engine,
    avatar: &Arc<LoadedAvatar>,
    (format, most): (FrameFormat, usize),
    longest: Duration,
    enough: impl Fn(usize, Duration) -> bool,
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
    // What it has not drawn in time is dropped with its reader, and there is no more room for sound.
    tokio::join!(watch(reader, longest, enough), speak(intake, &sound)).0
}

async fn speak(mut intake: Intake, sound: &[f32]) -> Result<(), SessionEnded> {
    intake.push(sound).await?;
    intake.finish().await
}

async fn watch(
    mut reader: FrameReader,
    longest: Duration,
    enough: impl Fn(usize, Duration) -> bool,
) -> Result<(), SessionError> {
    let (mut frames, mut first, mut until) = (0, None, Instant::now() + LONGEST_FIRST);
    while let Ok(event) = timeout_at(until, reader.next()).await
        && let Some(Event::Frame(_)) = event.transpose()?
    {
        let first = *first.get_or_insert_with(Instant::now);
        (frames, until) = (frames + 1, first + longest);
        if enough(frames, first.elapsed()) {
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
