"""Time of `lipsyncd mel` as a process against librosa in a warm one, side by side, for a minute of sound.

    LIPSYNCD_BIN=target/release/lipsyncd python benches/mel_vs_librosa.py

Needs librosa 0.11, scipy, soundfile. lipsyncd is charged for everything (start of the process, reading, resampling,
mel, writing); librosa only for computing, on one thread, with its filters made beforehand. The target is a ratio of at
most 0.33 at 16 kHz. Both results are compared, so that a fast wrong answer is noticed.
"""

import os

# Before numpy is loaded: one core each.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import librosa
import numpy as np
import scipy.signal
import soundfile

SECONDS = 60
RUNS = 15
SEED = 1
TARGET = 0.33
FILTERS = librosa.filters.mel(sr=16_000, n_fft=800, n_mels=80, fmin=55, fmax=7600)


def reference(samples, rate):
    """The recipe with librosa: [T, 80]."""
    if rate != 16_000:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=16_000, res_type="soxr_hq")
    emphasised = scipy.signal.lfilter([1, -0.97], [1], samples)
    spectrum = librosa.stft(y=emphasised, n_fft=800, hop_length=200, win_length=800, pad_mode="constant")
    decibels = 20 * np.log10(np.maximum(1e-5, np.dot(FILTERS, np.abs(spectrum)))) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).T


def timed(*works):
    """Seconds [work, run] of RUNS calls of each, taken in turns so that a busy machine slows all alike; last results."""
    spent = np.empty((len(works), RUNS))
    results = [None] * len(works)
    for run in range(RUNS):
        for i, work in enumerate(works):
            start = time.perf_counter()
            results[i] = work()
            spent[i, run] = time.perf_counter() - start
    return spent, results


def main():
    program = os.environ.get("LIPSYNCD_BIN", "target/release/lipsyncd")
    rng = np.random.default_rng(SEED)
    print(f"{SECONDS} s of noise, {RUNS} runs, median (least) in ms; librosa {librosa.__version__}, {platform.machine()}")
    print(f"{'rate':>6} {'lipsyncd process':>20} {'librosa warm':>20} {'ratio':>6}   largest, mean difference")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        wav, npy = pathlib.Path(folder, "in.wav"), pathlib.Path(folder, "out.npy")
        for rate in (16_000, 44_100, 48_000):
            swell = 0.3 + 0.2 * np.sin(np.arange(SECONDS * rate) / rate * 4)
            soundfile.write(wav, swell * rng.uniform(-1, 1, SECONDS * rate), rate, subtype="PCM_16")
            samples, _ = soundfile.read(wav, dtype="float32")
            command = [program, "mel", "--audio", wav, "--out", npy]
            spent, (_, expected) = timed(
                lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL),
                lambda: reference(samples, rate),
            )
            (ours, theirs), (ours_least, theirs_least) = 1e3 * np.median(spent, axis=1), 1e3 * spent.min(axis=1)
            difference = np.abs(np.load(npy) - expected)
            # The target is about the mel; at other rates soxr against our resampler weighs more than the mel does.
            missed |= rate == 16_000 and ours / theirs > TARGET
            print(
                f"{rate:>6} {ours:>10.1f} ({ours_least:6.1f}) {theirs:>10.1f} ({theirs_least:6.1f})"
                f" {ours / theirs:>6.2f}   {difference.max():.1e}, {difference.mean():.1e}"
            )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
