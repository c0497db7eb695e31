//! `lipsyncd mel`: the mel spectrogram of a WAV file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::CommandError;
use super::error::FileError;
use crate::audio::{MelParams, MelPlan, ResamplePlan, mel_spectrogram_threaded, read_wav, resample, write_npy};

/// What `lipsyncd mel` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// WAV file: 8/16/24/32-bit integer or 32-bit float PCM, any rate, up to 8 channels
    #[arg(long, value_name = "IN.wav")]
    audio: PathBuf,
    /// NumPy file to write: [T, 80] float32, 80 mel frames a second
    #[arg(long, value_name = "OUT.npy")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let pcm = read_wav(&args.audio).map_err(CommandError::input)?;
    let params = MelParams::default();
    let (rate, mels) = (params.sample_rate_hz, params.mels);
    let samples = if pcm.sample_rate_hz == rate {
        pcm.samples
    } else {
        let resampling = ResamplePlan::new(pcm.sample_rate_hz, rate).map_err(CommandError::input)?;
        resample(&Arc::new(resampling), &pcm.samples)
    };
    let plan = Arc::new(MelPlan::new(params).map_err(CommandError::failed)?);
    let threads = std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN);
    let mel = mel_spectrogram_threaded(&plan, &samples, threads);
    let write = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&args.out)?);
        write_npy(&mut file, &mel, mels)?;
        file.flush()
    };
    write().map_err(FileError::at(&args.out)).map_err(CommandError::failed)
}
