"""Compares mel.py with librosa 0.11, the recipe's judge, on noise, silence and speech."""

from pathlib import Path

import librosa
import numpy as np

import mel
from speech import read_wav


def judged(samples):
    y = np.append(samples[:1], samples[1:] - mel.PRE_EMPHASIS * samples[:-1])
    stft = librosa.stft(y, n_fft=mel.N_FFT, hop_length=mel.HOP, win_length=mel.N_FFT, center=True, pad_mode="constant")
    bank = librosa.filters.mel(sr=mel.SAMPLE_RATE, n_fft=mel.N_FFT, n_mels=mel.MELS, fmin=mel.FMIN, fmax=mel.FMAX)
    decibels = 20 * np.log10(np.maximum(1e-5, bank @ np.abs(stft))) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).T


def main():
    rng = np.random.default_rng(0)
    cases = {
        "noise": rng.normal(0, 0.1, 16123),
        "quiet": rng.normal(0, 1e-5, 8000),
        "silence": np.zeros(4000),
        "one sample": np.ones(1),
        "sentence": read_wav(Path(__file__).resolve().parents[2] / "avatars" / "demo" / "sentence.wav"),
    }
    for name, samples in cases.items():
        worst = np.abs(judged(samples.astype(np.float32)) - mel.mel_spectrogram(samples.astype(np.float32))).max()
        print(f"{name}: largest difference {worst:.1e}")
        assert worst < 1e-3, name


if __name__ == "__main__":
    main()
