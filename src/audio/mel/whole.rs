//! Mel spectrograms of sounds that are there from the start.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{MelPlan, MelStream};

/// The mel spectrogram of a whole sound: `[1 + samples.len() / hop, mels]`, row-major, -4..4.
#[must_use]
pub fn mel_spectrogram(plan: &Arc<MelPlan>, samples: &[f32]) -> Vec<f32> {
    mel_spectrogram_threaded(plan, samples, NonZeroUsize::MIN)
}

/// [`mel_spectrogram`] on up to `threads` threads, one of them the caller's; the bits are the same for any number.
///
/// For commands that work on a file while nothing else runs; a session streams.
///
/// # Panics
/// When the system refuses a thread.
#[must_use]
pub fn mel_spectrogram_threaded(plan: &Arc<MelPlan>, samples: &[f32], threads: NonZeroUsize) -> Vec<f32> {
    let params = plan.params();
    let frames = params.frames_for_samples(samples.len());
    let share = frames.div_ceil(threads.get());
    let mut mel = vec![0.0; frames * params.mels];
    std::thread::scope(|scope| {
        let mut parts = mel.chunks_mut(share * params.mels);
        let own = parts.next();
        for (rows, part) in parts.zip(1..) {
            scope.spawn(move || fill(plan, samples, part * share, rows));
        }
        if let Some(rows) = own {
            fill(plan, samples, 0, rows);
        }
    });
    mel
}

/// Computes the mel frames from `first` on, as many as `rows` has rows.
fn fill(plan: &Arc<MelPlan>, samples: &[f32], first: usize, rows: &mut [f32]) {
    let params = plan.params();
    let (mut stream, begin) = MelStream::before_frame(Arc::clone(plan), samples, first);
    let past_last = (first + rows.len() / params.mels) * params.hop_samples + params.n_fft / 2;
    let mut rows = rows.chunks_exact_mut(params.mels);
    let mut keep = |frame: &[f32]| {
        if let Some(row) = rows.next() {
            row.copy_from_slice(frame);
        }
    };
    stream.push(&samples[begin..past_last.min(samples.len())], &mut keep);
    // Only the sound's last frames reach past its end; elsewhere the rows are full by now.
    if past_last > samples.len() {
        stream.finish(&mut keep);
    }
}
