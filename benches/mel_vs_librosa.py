"""Time of `lipsyncd mel` as a process against librosa, warm and as a process, side by side, for a minute of sound.

    LIPSYNCD_BIN=target/release/lipsyncd python benches/mel_vs_librosa.py

Needs librosa 0.11, scipy, soundfile. Four things in turns:
  process  `lipsyncd mel`, everything: start, reading, resampling, mel, writing; on as many threads as it likes;
  start    `lipsyncd --version`, which is what starting the program takes;
  warm     librosa in this process: computing only, filters made beforehand, numpy on one thread;
  python   a Python process that reads, computes with librosa and writes a .npy, on as many threads as it likes.
The target is (process - start) / warm of at most 0.33 at 16 kHz, from medians; the least times are in brackets. `cpu`
is the processor time of the process, all threads together. Both results are compared, so that a fast wrong answer is
noticed.
"""

import os

# Before numpy is loaded: one core for the warm librosa.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
FREE = {name: value for name, value in os.environ.items() if name not in THREADS}
os.environ.update(dict.fromkeys(THREADS, "1"))

import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time

import librosa
import numpy as np
import scipy.signal
import soundfile

SECONDS = 60
RUNS = 25
PYTHON_RUNS = 3
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


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(works, runs):
    """Milliseconds [work, run] of `runs` calls of each, taken in turns so that a busy machine slows all alike; processor
    time of the processes they started, likewise; and the last results."""
    spent, cpu = np.empty((len(works), runs)), np.empty((len(works), runs))
    results = [None] * len(works)
    for run in range(runs):
        for i, work in enumerate(works):
            start, before = time.perf_counter(), children_cpu()
            results[i] = work()
            spent[i, run], cpu[i, run] = time.perf_counter() - start, children_cpu() - before
    return 1e3 * spent, 1e3 * cpu, results


def process(*command):
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=FREE)


def compare(program, folder, rate):
    """Prints one line for `rate`; (process - start) / warm."""
    wav, npy = pathlib.Path(folder, "in.wav"), pathlib.Path(folder, "out.npy")
    swell = 0.3 + 0.2 * np.sin(np.arange(SECONDS * rate) / rate * 4)
    sound = swell * np.random.default_rng(SEED).uniform(-1, 1, SECONDS * rate)
    soundfile.write(wav, sound, rate, subtype="PCM_16")
    samples, _ = soundfile.read(wav, dtype="float32")
    ours = process(program, "mel", "--audio", wav, "--out", npy)
    works = [ours, process(program, "--version"), lambda: reference(samples, rate)]
    spent, cpu, (_, _, expected) = timed(works, RUNS)
    python = process(sys.executable, __file__, wav, pathlib.Path(folder, "python.npy"))
    python_spent, _, _ = timed([python], PYTHON_RUNS)
    difference = np.abs(np.load(npy) - expected)
    (whole, start, warm), least, python = np.median(spent, axis=1), spent.min(axis=1), np.median(python_spent)
    print(
        f"{rate:>6} {whole:>6.1f} ({least[0]:5.1f}) {np.median(cpu[0]):>6.1f} ({cpu[0].min():5.1f}) {start:>5.1f} ({least[1]:3.1f})"
        f" {warm:>6.1f} ({least[2]:5.1f}) {python:>7.0f} {whole / warm:>8.2f} {(whole - start) / warm:>8.2f}"
        f" ({(least[0] - least[1]) / least[2]:4.2f}) {whole / python:>8.3f}   {difference.max():.1e}, {difference.mean():.1e}"
    )
    return (whole - start) / warm


def main():
    if len(sys.argv) == 3:
        samples, rate = soundfile.read(sys.argv[1], dtype="float32")
        np.save(sys.argv[2], reference(samples, rate).astype(np.float32))
        return
    program = os.environ.get("LIPSYNCD_BIN", "target/release/lipsyncd")
    print(f"{SECONDS} s of noise, {RUNS} runs, median (least) in ms; librosa {librosa.__version__}, {platform.machine()}")
    print(
        f"{'rate':>6} {'process':>14} {'cpu':>14} {'start':>11} {'warm':>14} {'python':>7} {'/ warm':>8}"
        f" {'less start':>15} {'/ python':>8}   largest, mean difference"
    )
    with tempfile.TemporaryDirectory() as folder:
        # At other rates soxr against our resampler weighs more than the mel does.
        ratios = [compare(program, folder, rate) for rate in (16_000, 44_100, 48_000)]
    sys.exit(1 if ratios[0] > TARGET else 0)


if __name__ == "__main__":
    main()
