"""Sound to what the networks hear: mel spectrogram, mel windows, feature contexts (SyncTalk_2D's 'ave' recipe)."""

import functools

import numpy as np

SAMPLE_RATE, N_FFT, HOP, MELS, FMIN, FMAX, PRE_EMPHASIS = 16000, 800, 200, 80, 55.0, 7600.0, 0.97
FPS, WINDOW, CONTEXT = 25, 16, 16  # video frames/s, mel frames per window, features per context
MEL_RATE = SAMPLE_RATE / HOP  # 80 mel frames/s


def hz_to_mel(hz):
    """Slaney's scale: linear to 1 kHz, logarithmic above."""
    hz = np.asarray(hz, np.float64)
    return np.where(hz < 1000.0, hz * 3 / 200, 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) / (np.log(6.4) / 27.0))


def mel_to_hz(mel):
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15.0, mel * 200 / 3, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


@functools.cache
def filterbank():
    """Triangular filters of equal area, `[80, 401]` (librosa.filters.mel with norm='slaney')."""
    edges = mel_to_hz(np.linspace(hz_to_mel(FMIN), hz_to_mel(FMAX), MELS + 2))
    bins = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def mel_spectrogram(samples):
    """`[T, 80]` float32 in -4..4 of mono 16 kHz samples in -1..1; `T = 1 + len // 200`."""
    x = np.asarray(samples, np.float64)
    x = np.concatenate([x[:1], x[1:] - PRE_EMPHASIS * x[:-1]])
    x = np.pad(x, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    mel = np.abs(np.fft.rfft(frames * hann, axis=1)) @ filterbank().T
    decibels = 20 * np.log10(np.maximum(1e-5, mel)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).astype(np.float32)


def windows(mel):
    """Mel window of every video frame, `[n, 1, 80, 16]`, `n = floor((T - 16) * 25 / 80) + 2`."""
    if len(mel) < WINDOW:
        mel = np.concatenate([mel, np.full((WINDOW - len(mel), MELS), -4.0, np.float32)])
    count = int((len(mel) - WINDOW) * FPS / MEL_RATE) + 2
    starts = np.minimum(np.arange(count) * 80 // FPS, len(mel) - WINDOW)
    return np.stack([mel[s : s + WINDOW].T for s in starts])[:, None]


def context_index(count, frames):
    """Which feature stands in each place of each context: `[frames, 16]`, `count` where there is none (zeros).

    Features are padded by one copy of the first and of the last; frame i sees padded i-8 .. i+7.
    """
    padded = np.concatenate([[0], np.arange(count), [count - 1]])
    at = np.arange(frames)[:, None] + np.arange(-CONTEXT // 2, CONTEXT // 2)
    inside = (at >= 0) & (at < len(padded))
    return np.where(inside, padded[np.clip(at, 0, len(padded) - 1)], count)


def contexts(features, frames):
    """Generator's audio input `[frames, 32, 16, 16]` from features `[n, 512]`."""
    padded = np.concatenate([features, np.zeros_like(features[:1])])
    return padded[context_index(len(features), frames)].reshape(frames, 32, 16, 16)


def frame_count(samples):
    """Video frames that cover the sound."""
    return -(-len(samples) * FPS // SAMPLE_RATE)
