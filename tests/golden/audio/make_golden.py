"""Makes the golden sounds and mel spectrograms beside this file; see README.md.

The reference is the recipe written with librosa and scipy. It computes in float64 from the pre-emphasis on, as
scipy.signal.lfilter does for float32 input, with librosa's float32 mel filters.
"""

import hashlib
import pathlib
import subprocess
import sys

import librosa
import numpy as np
import scipy
import scipy.signal
import soundfile
import soxr

HERE = pathlib.Path(__file__).parent
SEED = 20_261_123
RATE = 16_000
TEXT = "She had your dark suit in greasy wash water all year."


def mel_of(samples):
    """The recipe's steps 2 to 4: float32 samples at 16 kHz -> [T, 80] float32."""
    emphasised = scipy.signal.lfilter([1, -0.97], [1], samples)
    assert emphasised.dtype == np.float64
    spectrum = librosa.stft(y=emphasised, n_fft=800, hop_length=200, win_length=800, pad_mode="constant")
    filters = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibels = 20 * np.log10(np.maximum(1e-5, filters @ np.abs(spectrum))) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).T.astype(np.float32, order="C")


def speech(rate, seconds, start=0.1):
    """espeak-ng's voice (22050 Hz) from `start`, at `rate`."""
    wav = HERE / "speech.tmp.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "160", "-w", wav, TEXT], check=True)
    samples, native = soundfile.read(wav)
    wav.unlink()
    samples = soxr.resample(samples, native, rate, quality="VHQ")
    return samples[int(start * rate) : int((start + seconds) * rate)]


def sounds():
    """name -> (samples [n] or [n, channels], rate, soundfile subtype, container)"""
    rng = np.random.default_rng(SEED)
    t = np.arange(RATE // 2) / RATE
    impulses = np.zeros(RATE // 4)
    impulses[[0, 1, 777, 1999, 3999]] = [1, -1, 1, 0.001, -1]
    sweep = lambda rate, n: 0.8 * scipy.signal.chirp(np.arange(n) / rate, 50, n / rate, rate / 2, "logarithmic")
    noise = lambda n, size=0.3: np.clip(size * rng.standard_normal(n), -1, 1)
    two = lambda a, b: np.stack([a, b], axis=1)
    exact = {
        "speech_s16": (speech(RATE, 1.2), "PCM_16", "WAV"),
        "noise_f32": (noise(4000), "FLOAT", "WAV"),
        "noise_stereo_s16_ext": (two(noise(3000), noise(3000)), "PCM_16", "WAVEX"),
        "noise_quiet_f32": (1e-6 * rng.standard_normal(4000), "FLOAT", "WAV"),
        "noise_8ch_s24_ext": (noise((1000, 8)), "PCM_24", "WAVEX"),
        "sine_on_bin_s24": (np.sin(2 * np.pi * 1000 * t[:4000]) * (1 - 2**-23), "PCM_24", "WAV"),
        "sine_off_bin_f32": (np.sin(2 * np.pi * 1013.7 * t[:4000]), "FLOAT", "WAV"),
        "sine_top_band_f64": (np.sin(2 * np.pi * 7591.3 * t[:3000]), "DOUBLE", "WAV"),
        "impulses_f64": (impulses, "DOUBLE", "WAV"),
        "constant_u8": (np.full(3000, 0.75), "PCM_U8", "WAV"),
        "silence_s16": (np.zeros(2000), "PCM_16", "WAV"),
        "square_s32": (np.sign(np.sin(2 * np.pi * 220 * t[:4000])) * (1 - 2**-31), "PCM_32", "WAV"),
        "samples_1_f32": (np.array([0.5]), "FLOAT", "WAV"),
        "samples_199_f32": (noise(199), "FLOAT", "WAV"),
        "samples_400_f32": (noise(400), "FLOAT", "WAV"),
        "samples_401_f32": (noise(401), "FLOAT", "WAV"),
    }
    resampled = {
        "speech_8k_s16": (speech(8000, 1.2), 8000, "PCM_16", "WAV"),
        "speech_11k_u8": (speech(11_025, 1.0), 11_025, "PCM_U8", "WAV"),
        "speech_22k_s16": (speech(22_050, 1.2), 22_050, "PCM_16", "WAV"),
        "speech_32k_s16": (speech(32_000, 0.8), 32_000, "PCM_16", "WAV"),
        "speech_44k_stereo_s16": (two(speech(44_100, 0.6), 0.5 * speech(44_100, 0.6)), 44_100, "PCM_16", "WAV"),
        "speech_48k_f32": (speech(48_000, 0.6), 48_000, "FLOAT", "WAV"),
        "noise_44k_f32": (noise(9000), 44_100, "FLOAT", "WAV"),
        "noise_48k_s24": (noise(9600), 48_000, "PCM_24", "WAV"),
        "sweep_44k_s16": (sweep(44_100, 22_050), 44_100, "PCM_16", "WAV"),
        "sweep_48k_s16": (sweep(48_000, 24_000), 48_000, "PCM_16", "WAV"),
        "sweep_96k_s16": (sweep(96_000, 28_800), 96_000, "PCM_16", "WAV"),
        "noise_8k_s16": (noise(4000), 8000, "PCM_16", "WAV"),
    }
    for name, (samples, subtype, container) in exact.items():
        yield name, samples, RATE, subtype, container
    for name, (samples, rate, subtype, container) in resampled.items():
        yield name, samples, rate, subtype, container


def without_timestamp(wav):
    """libsndfile dates float files in their PEAK chunk (version, time, ...): 0, so that they are made the same again."""
    content = bytearray(wav.read_bytes())
    peak = content[:200].find(b"PEAK")
    if peak >= 0:
        content[peak + 12 : peak + 16] = bytes(4)
    wav.write_bytes(content)


def main():
    for name, samples, rate, subtype, container in sounds():
        wav = HERE / f"{name}.wav"
        soundfile.write(wav, samples, rate, subtype=subtype, format=container)
        without_timestamp(wav)
        read, _ = soundfile.read(wav, dtype="float32")
        mono = librosa.to_mono(read.T)
        if rate != RATE:
            mono = librosa.resample(mono, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
        np.save(HERE / f"{name}.npy", mel_of(mono))
    espeak = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    print(f"Python {sys.version.split()[0]}, librosa {librosa.__version__}, numpy {np.__version__}, "
          f"scipy {scipy.__version__}, soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__}), "
          f"soxr {soxr.__version__}, {espeak.split('  ')[0].strip()}")
    for path in sorted(HERE.glob("*.wav")) + sorted(HERE.glob("*.npy")):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


if __name__ == "__main__":
    main()
