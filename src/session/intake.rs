//! The writing end of a session: samples of any rate in chunks of any size.

use std::sync::Arc;
use std::time::Instant;

use super::core::{MAX_UNANSWERED_CUTS, SessionCore, State};
use super::options::SessionOptions;
use super::reader::{Cut, FrameReader};
use crate::audio::{MelStream, ResampleError, ResamplePlan, Resampler};
use crate::avatar::LoadedAvatar;
use crate::batch::WorkQueue;
use crate::telemetry::SessionState;

/// Samples of the recipe's rate that one block may hold: 0.1 s, so that a long chunk is staged as it is read.
const BLOCK_SAMPLES: usize = 1600;

/// The session is over: its reader is gone or its work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SessionEnded;

/// The writing end. Dropping it in the middle of an utterance ends the session.
pub struct Intake {
    core: Arc<SessionCore>,
    /// The session's generation that the streaming states belong to.
    generation: u32,
    resampler: Resampler,
    mel: MelStream,
    /// Samples of the client's rate in one block.
    block_in: usize,
    /// Samples an utterance is padded to with silence: one encoder window's worth.
    least_samples: usize,
    /// Samples of the utterance at the recipe's rate.
    resampled: usize,
    /// Mel frames of the block at hand.
    scratch: Vec<f32>,
}

impl Intake {
    /// Opens a session on `avatar` whose work goes to `queue`.
    ///
    /// # Errors
    /// [`ResampleError`] for a sample rate that cannot be.
    pub fn open(
        avatar: Arc<LoadedAvatar>,
        queue: Arc<WorkQueue>,
        options: SessionOptions,
    ) -> Result<(Self, FrameReader), ResampleError> {
        let plan = ResamplePlan::shared(options.sample_rate_hz, avatar.sample_rate_hz())?;
        let params = avatar.mel_plan().params();
        let block_in = (BLOCK_SAMPLES * options.sample_rate_hz as usize / avatar.sample_rate_hz() as usize).max(1);
        // What a block can complete, and what the end of the resampler, the padding and the STFT add.
        let least_samples = (crate::audio::WINDOW_MEL_FRAMES - 1) * params.hop_samples;
        let tail = plan.output_len(2 * block_in + plan.lookahead_samples()) + least_samples + params.n_fft;
        let block_mel_frames = tail.div_ceil(params.hop_samples) + 1;
        let intake = Self {
            generation: 0,
            resampler: Resampler::new(plan),
            mel: MelStream::new(Arc::clone(avatar.mel_plan())),
            block_in,
            least_samples,
            resampled: 0,
            scratch: Vec::with_capacity(block_mel_frames * params.mels),
            core: SessionCore::new(avatar, queue, options, block_mel_frames),
        };
        let reader = FrameReader::new(Arc::clone(&intake.core));
        Ok((intake, reader))
    }

    /// The session's avatar and options.
    #[must_use]
    pub fn core(&self) -> &Arc<SessionCore> {
        &self.core
    }

    /// Samples of the client's rate past a frame's own first one that are always enough for the frame to be made.
    #[must_use]
    pub fn lookahead_samples(&self) -> u64 {
        let plan = self.resampler.plan();
        let outputs = usize::try_from(self.core.avatar().lookahead_samples()).unwrap_or(usize::MAX);
        // A frame begins between two samples, at either rate.
        let between = if plan.lookahead_samples() > 0 { 2 } else { 0 };
        (plan.inputs_before(outputs) + between) as u64
    }

    /// Waits until one block of sound fits: the back-pressure of the whole session. Cancel-safe.
    ///
    /// # Errors
    /// [`SessionEnded`] when nobody will read the frames.
    pub async fn room(&self) -> Result<(), SessionEnded> {
        self.until(|state| state.phase != SessionState::Finishing && state.utterance.has_room()).await
    }

    async fn until(&self, is_ready: impl Fn(&State) -> bool) -> Result<(), SessionEnded> {
        loop {
            {
                let state = self.core.lock();
                if state.reader_gone || state.failure.is_some() || state.intake_gone {
                    return Err(SessionEnded);
                }
                if is_ready(&state) {
                    return Ok(());
                }
            }
            self.core.room.notified().await;
        }
    }

    /// Says all of `samples`, one utterance, and stays until the reader has met its end or the session is over.
    pub async fn speak(mut self, samples: &[f32]) {
        if self.push(samples).await.is_ok() && self.finish().await.is_ok() {
            // The reader's end is what matters, and it tells of it.
            let _ = self.room().await;
        }
    }

    /// Takes samples, waiting for room block by block.
    ///
    /// # Errors
    /// [`SessionEnded`] when nobody will read the frames.
    pub async fn push(&mut self, mut samples: &[f32]) -> Result<(), SessionEnded> {
        let came = Instant::now();
        while !samples.is_empty() {
            self.room().await?;
            let taken = self.push_block(samples, came);
            samples = &samples[taken..];
        }
        Ok(())
    }

    /// Takes at most one block of samples, which `came` from the client then, and returns how many; [`Self::room`] must have said yes.
    pub fn push_block(&mut self, samples: &[f32], came: Instant) -> usize {
        self.follow();
        let now = &samples[..samples.len().min(self.block_in)];
        let start = Instant::now();
        let Self { resampler, mel, resampled, scratch, .. } = self;
        scratch.clear();
        resampler.push(now, &mut |block| {
            *resampled += block.len();
            mel.push(block, &mut |frame| scratch.extend_from_slice(frame));
        });
        self.core.times.add_audio(start.elapsed());
        self.publish(now.len(), came, None);
        now.len()
    }

    /// Ends the utterance's sound, waiting for room. An utterance without a sample has no frames.
    ///
    /// # Errors
    /// [`SessionEnded`] when nobody will read the frames.
    pub async fn finish(&mut self) -> Result<(), SessionEnded> {
        let came = Instant::now();
        self.room().await?;
        self.finish_now(came);
        Ok(())
    }

    /// Ends the utterance's sound, as the client said when it `came`; [`Self::room`] must have said yes.
    pub fn finish_now(&mut self, came: Instant) {
        self.follow();
        let Self { resampler, mel, resampled, scratch, least_samples, .. } = self;
        scratch.clear();
        let mut emit = |frame: &[f32]| scratch.extend_from_slice(frame);
        resampler.finish(&mut |block| {
            *resampled += block.len();
            mel.push(block, &mut emit);
        });
        let silence = [0.0; 256];
        while *resampled < *least_samples {
            let now = (*least_samples - *resampled).min(silence.len());
            mel.push(&silence[..now], &mut emit);
            *resampled += now;
        }
        mel.finish(&mut emit);
        self.resampled = 0;
        let rate = self.core.options.sample_rate_hz;
        let samples = usize::try_from(self.core.lock().samples).unwrap_or(usize::MAX);
        // Only a rate of 0 is refused there, and the resampler has refused it before.
        let frames = self.core.avatar().clock().frames_for_samples(samples, rate).unwrap_or(0);
        self.publish(0, came, Some(frames));
    }

    /// Waits until the reader has met enough of the interrupts for one more to be remembered. Cancel-safe.
    ///
    /// # Errors
    /// [`SessionEnded`] when it will not.
    pub async fn answered(&self) -> Result<(), SessionEnded> {
        self.until(|state| state.cuts.len() < MAX_UNANSWERED_CUTS).await
    }

    /// Cuts the utterance: drops its sound, its queued work and its frames not yet taken. The reader
    /// meets [`super::Event::Interrupted`] next. Between interrupts, [`Self::answered`] keeps those that wait for the reader few.
    pub fn interrupt(&mut self) {
        let mut state = self.core.lock();
        let frames = state.utterance.frames_taken() as u64;
        let running = state.phase != SessionState::Idle;
        let utterance = state.number;
        state.position = self.core.position_after(&state, frames);
        state.number = utterance.wrapping_add(u32::from(running));
        if running {
            self.core.meter.recorder().interrupted();
        }
        let cut = Cut { utterance, frames, next_position: state.position };
        state.cuts.push_back(cut);
        self.core.prepare_closing(&mut state);
        self.core.forget(&mut state);
        self.core.queue_closing(&mut state);
        self.core.event.notify_one();
    }

    /// Starts afresh when the utterance that was being fed has ended: by an interrupt, or by having as many
    /// frames as the session allows.
    fn follow(&mut self) {
        let generation = self.core.lock().generation;
        if self.generation != generation {
            self.generation = generation;
            self.resampler.reset();
            self.mel.reset();
            self.resampled = 0;
        }
    }

    /// Hands the block's mel frames, and the end if it is one, to the session, and queues what they allow.
    fn publish(&self, samples: usize, came: Instant, end: Option<usize>) {
        let mut state = self.core.lock();
        if state.phase == SessionState::Idle {
            self.core.set_phase(&mut state, SessionState::Speaking);
            // Not when it `came`: while the utterance before is still shown, it waits for that and not for us.
            state.first.begin(Instant::now());
            self.core.reset(&mut state);
        }
        state.samples += samples as u64;
        self.core.heard(&mut state, came);
        self.core.meter.recorder().audio_taken(samples, self.core.options.sample_rate_hz);
        state.utterance.push_mel(&self.scratch);
        if let Some(frames) = end {
            state.utterance.finish(frames);
            self.core.set_phase(&mut state, SessionState::Finishing);
            self.core.event.notify_one();
        }
        self.core.pump(&mut state);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.intake_gone = true;
        self.core.event.notify_one();
    }
}
