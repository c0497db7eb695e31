//! Mel spectrograms of sounds that are there from the start.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::{MelPlan, MelStream};
use crate::audio::Sound;
use crate::crew;

/// Mel frames of a part of a sound that one thread works on: small beside a minute, so that a busy core delays little,
/// and large beside the two transforms of samples that neighbouring parts both read.
const PART_FRAMES: usize = 256;

/// The mel spectrogram of a whole sound: `[1 + samples.len() / hop, mels]`, row-major, -4..4.
#[must_use]
pub fn mel_spectrogram(plan: &Arc<MelPlan>, samples: &[f32]) -> Vec<f32> {
    let params = plan.params();
    let frames = params.frames_for_samples(samples.len());
    let mut mel = Vec::with_capacity(frames * params.mels);
    let Ok(()) = mel_frames(plan, samples, 0..frames, &mut |frame| mel.extend_from_slice(frame));
    mel
}

/// The mel spectrogram of a whole sound, in parts: `keep` gets a part's first frame and its rows, `[frames, mels]`.
///
/// Works on up to `threads` threads, one of them the caller's; the bits are the same for any number. With one thread
/// the parts come in order. For commands that work on a file while nothing else runs; a session streams.
///
/// # Errors
/// The first, in the sound's order, that reading the sound or `keep` gave.
pub fn mel_in_parts<S, E>(
    plan: &Arc<MelPlan>,
    sound: &S,
    threads: NonZeroUsize,
    keep: &(impl Fn(usize, &[f32]) -> Result<(), E> + Sync),
) -> Result<(), E>
where
    S: Sound + ?Sized,
    E: From<S::Error> + Send,
{
    let params = plan.params();
    let frames = params.frames_for_samples(sound.samples());
    let rows = || Ok(Vec::with_capacity(PART_FRAMES * params.mels));
    crew::in_turn(threads, frames.div_ceil(PART_FRAMES), rows, |rows, part| {
        let first = part * PART_FRAMES;
        rows.clear();
        let part = first..frames.min(first + PART_FRAMES);
        mel_frames(plan, sound, part, &mut |frame| rows.extend_from_slice(frame))?;
        keep(first, rows)
    })
}

/// Gives `emit` the mel frames `frames` of a whole sound, in order.
fn mel_frames<S: Sound + ?Sized>(
    plan: &Arc<MelPlan>,
    sound: &S,
    frames: Range<usize>,
    emit: &mut impl FnMut(&[f32]),
) -> Result<(), S::Error> {
    let params = plan.params();
    let (mut stream, begin) = MelStream::before_frame(Arc::clone(plan), frames.start);
    let past_last = (frames.end - 1) * params.hop_samples + params.n_fft / 2;
    let mut left = frames.len();
    let mut keep = |frame: &[f32]| {
        if left > 0 {
            left -= 1;
            emit(frame);
        }
    };
    sound.read(begin..past_last.min(sound.samples()), &mut |samples| stream.push(samples, &mut keep))?;
    // Only the sound's last frames reach past its end.
    if past_last > sound.samples() {
        stream.finish(&mut keep);
    }
    Ok(())
}
