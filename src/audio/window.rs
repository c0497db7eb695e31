//! The clock that ties video frames to mel frames and to samples, in exact integers.
//!
//! Steps 5 and 7 of the recipe. Training pipelines compute these positions in floating point; `int(80. * (i / 25.))`
//! equals the floor here for every `i` up to ten million, but `int((T - 16) / 80. * 25)` falls one short for some `T`
//! (the first is 384). The exact floor is the rule here.

use thiserror::Error;

/// Mel frames the audio encoder sees at once.
pub const WINDOW_MEL_FRAMES: usize = 16;

/// Why a clock cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} is 0; it must be at least 1")]
pub struct ClockError {
    /// The field, named as in `avatar.toml`.
    pub field: &'static str,
}

/// Where each video frame lies in the sound: `fps` frames, `sample_rate / hop` mel frames a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameClock {
    sample_rate_hz: u128,
    hop_samples: u128,
    fps: u128,
}

impl FrameClock {
    /// A clock; each of the three at least 1.
    ///
    /// # Errors
    /// When one is 0; the error names it.
    pub fn new(sample_rate_hz: u32, hop_samples: u32, fps: u32) -> Result<Self, ClockError> {
        for (value, field) in [(sample_rate_hz, "audio.sample_rate"), (hop_samples, "audio.hop"), (fps, "fps")] {
            if value == 0 {
                return Err(ClockError { field });
            }
        }
        // Kept wide: products with any usize then fit, with no check at each use.
        Ok(Self { sample_rate_hz: sample_rate_hz.into(), hop_samples: hop_samples.into(), fps: fps.into() })
    }

    /// First mel frame of window `window`: `floor(window * sample_rate / (hop * fps))`.
    #[must_use]
    pub fn window_start(&self, window: usize) -> usize {
        narrow(window as u128 * self.sample_rate_hz / (self.hop_samples * self.fps))
    }

    /// Windows in a whole sound of `mel_frames`: `floor((mel_frames - 16) * fps * hop / sample_rate) + 2`.
    ///
    /// A sound shorter than one window counts as one window long; the rest of it is [`super::SILENT_MEL`].
    #[must_use]
    pub fn window_count(&self, mel_frames: usize) -> usize {
        let past_first = mel_frames.saturating_sub(WINDOW_MEL_FRAMES) as u128;
        narrow(past_first * self.hop_samples * self.fps / self.sample_rate_hz).saturating_add(2)
    }

    /// First mel frame of `window` in a whole sound of `mel_frames`, slid back so that the window ends with it.
    ///
    /// The window is `[start, start + 16)`. In a sound shorter than that it is `[0, 16)`.
    #[must_use]
    pub fn window_start_in(&self, window: usize, mel_frames: usize) -> usize {
        let last = mel_frames.saturating_sub(WINDOW_MEL_FRAMES);
        self.window_start(window).min(last)
    }

    /// How many windows, from the first, are certain once `mel_frames` are there, wherever the sound will end.
    #[must_use]
    pub fn windows_ready(&self, mel_frames: usize) -> usize {
        let Some(starts) = mel_frames.checked_sub(WINDOW_MEL_FRAMES - 1) else {
            return 0;
        };
        // Windows whose start is one of the first `starts` mel frames lie inside. With more windows than mel frames
        // a second, some of those might not belong to a sound that ends here.
        let inside = (starts as u128 * self.hop_samples * self.fps).div_ceil(self.sample_rate_hz);
        narrow(inside).min(self.window_count(mel_frames))
    }

    /// Mel frames past a window's own first that are always enough for the one `ahead` windows further to be certain.
    #[must_use]
    pub fn mel_frames_that_make_certain(&self, ahead: usize) -> usize {
        // With more than two windows a mel frame, a sound that ends here has fewer than lie inside.
        let more = usize::from(self.fps * self.hop_samples > 2 * self.sample_rate_hz);
        self.window_start(ahead).saturating_add(WINDOW_MEL_FRAMES + more)
    }

    /// Video frames that cover `samples` at `sample_rate_hz` (the sound's own rate): `ceil(samples * fps / rate)`.
    ///
    /// # Errors
    /// When the rate is 0.
    pub fn frames_for_samples(&self, samples: usize, sample_rate_hz: u32) -> Result<usize, ClockError> {
        if sample_rate_hz == 0 {
            let field = "sample_rate";
            return Err(ClockError { field });
        }
        Ok(narrow((samples as u128 * self.fps).div_ceil(sample_rate_hz.into())))
    }

    /// The sample, at `sample_rate_hz`, that sounds when video frame `frame` appears: `floor(frame * rate / fps)`.
    #[must_use]
    pub fn first_sample(&self, frame: usize, sample_rate_hz: u32) -> usize {
        narrow(frame as u128 * u128::from(sample_rate_hz) / self.fps)
    }
}

/// A position too large to be one (no sound is that long) stays at the largest.
fn narrow(position: u128) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Writes a window as the encoder takes it: `[mels, 16]`, from mel frames `[16, mels]`, both row-major.
///
/// `frames` shorter than 16 rows are completed with `pad`, longer ones cut. `window` is `mels * 16` long; what
/// does not fit is left out.
pub fn fill_window(frames: &[f32], mels: usize, pad: f32, window: &mut [f32]) {
    for (mel, row) in window.chunks_exact_mut(WINDOW_MEL_FRAMES).take(mels).enumerate() {
        for (time, slot) in row.iter_mut().enumerate() {
            *slot = frames.get(time * mels + mel).copied().unwrap_or(pad);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Context, Windows};

    fn clock() -> FrameClock {
        FrameClock::new(16_000, 200, 25).unwrap()
    }

    #[test]
    fn zero_is_named() {
        for (args, field) in [((0, 1, 1), "audio.sample_rate"), ((1, 0, 1), "audio.hop"), ((1, 1, 0), "fps")] {
            assert_eq!(FrameClock::new(args.0, args.1, args.2), Err(ClockError { field }));
        }
    }

    #[test]
    fn starts_follow_the_recipe() {
        let starts: Vec<usize> = (0..11).map(|i| clock().window_start(i)).collect();
        assert_eq!(starts, [0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 32]);
        // No drift after a day.
        assert_eq!(clock().window_start(25 * 86_400), 80 * 86_400);
    }

    #[test]
    fn counts_follow_the_recipe() {
        for (mel_frames, windows) in [(0, 2), (1, 2), (16, 2), (19, 2), (20, 3), (96, 27), (384, 117), (4801, 1497)] {
            assert_eq!(clock().window_count(mel_frames), windows, "T = {mel_frames}");
        }
    }

    #[test]
    fn last_windows_end_with_the_sound() {
        for mel_frames in 0..500 {
            let count = clock().window_count(mel_frames);
            let start = clock().window_start_in(count - 1, mel_frames);
            assert_eq!(start + WINDOW_MEL_FRAMES, mel_frames.max(WINDOW_MEL_FRAMES));
        }
    }

    #[test]
    fn a_ready_window_is_the_same_wherever_the_sound_ends() {
        for (rate, hop, fps) in [(16_000, 200, 25), (16_000, 160, 30), (16_000, 200, 100), (44_100, 441, 24)] {
            let clock = FrameClock::new(rate, hop, fps).unwrap();
            for so_far in 0..300 {
                let ready = clock.windows_ready(so_far);
                for end in so_far..so_far + 40 {
                    assert!(ready == 0 || ready <= clock.window_count(end));
                    for window in 0..ready {
                        assert_eq!(clock.window_start_in(window, end), clock.window_start(window));
                    }
                }
                // And no window is held back: the next one either does not lie inside yet or may not exist.
                let next = clock.window_start(ready) + WINDOW_MEL_FRAMES;
                assert!(next > so_far || ready >= clock.window_count(so_far));
            }
        }
    }

    /// Clocks with few and many windows a mel frame, and a transform's length for each.
    fn clocks() -> impl Iterator<Item = (FrameClock, usize, usize)> {
        let rates = [8000, 16_000, 44_100];
        let hops = [(16, 64), (200, 800), (512, 1024), (4096, 8192)];
        let of = move |rate| {
            hops.into_iter().flat_map(move |(hop, n_fft)| {
                [1, 4, 25, 50, 120].map(|fps| (FrameClock::new(rate, hop, fps).unwrap(), hop as usize, n_fft))
            })
        };
        rates.into_iter().flat_map(of)
    }

    #[test]
    fn a_frame_is_made_once_its_lookahead_is_there_and_not_before_the_sound_reaches_it() {
        for (clock, hop, n_fft) in clocks() {
            let rate = u32::try_from(clock.sample_rate_hz).unwrap();
            for rows in [2, 4, 16, 64] {
                let context = Context::new(rows);
                let ready = |mel_frames| context.frames_ready(Windows::SoFar(clock.windows_ready(mel_frames)));
                let lookahead = clock.mel_frames_that_make_certain(rows / 2 - 1);
                for frame in 0..60 {
                    // Half a transform later than its middle a mel frame is complete.
                    let there = clock.first_sample(frame, rate) / hop + lookahead + 1;
                    assert!(ready(there) > frame, "{clock:?}: frame {frame} of {rows} rows");
                }
                for mel_frames in 1..200 {
                    let samples = (mel_frames - 1) * hop + n_fft / 2;
                    let reached = clock.frames_for_samples(samples, rate).unwrap();
                    assert!(ready(mel_frames) <= reached, "{clock:?}: {mel_frames} mel frames, {rows} rows");
                }
            }
        }
    }

    #[test]
    fn frames_cover_the_sound() {
        let clock = clock();
        for (samples, rate, frames) in [
            (0, 16_000, 0),
            (1, 16_000, 1),
            (640, 16_000, 1),
            (641, 16_000, 2),
            (44_100, 44_100, 25),
            (44_101, 44_100, 26),
        ] {
            assert_eq!(clock.frames_for_samples(samples, rate), Ok(frames));
        }
        assert!(clock.frames_for_samples(1, 0).is_err());
        for frame in 1..1000 {
            let first = clock.first_sample(frame, 11_111);
            assert_eq!(clock.frames_for_samples(first + 1, 11_111), Ok(frame + 1));
        }
    }

    #[test]
    fn nothing_overflows() {
        let clock = FrameClock::new(u32::MAX, 1, 1).unwrap();
        assert_eq!(clock.window_start(usize::MAX), usize::MAX);
        let clock = FrameClock::new(1, u32::MAX, u32::MAX).unwrap();
        assert_eq!(clock.window_count(usize::MAX), usize::MAX);
        assert_eq!(clock.windows_ready(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_window_is_transposed_and_padded() {
        let frames: Vec<f32> = (0..30).map(|v| v as f32).collect();
        let mut window = [f32::NAN; 3 * WINDOW_MEL_FRAMES];
        fill_window(&frames, 3, -4.0, &mut window);
        assert_eq!(window[..3], [0.0, 3.0, 6.0]);
        assert_eq!(window[16..19], [1.0, 4.0, 7.0]);
        assert_eq!(window[9..11], [27.0, -4.0]);
        assert_eq!(window[47], -4.0);
    }
}
