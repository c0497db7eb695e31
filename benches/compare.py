"""lipsyncd's time beside the networks alone and beside Python doing the same.

    python benches/compare.py --seconds 60 --repeats 3

In turns, on one bundle and one sound:
  a  the two networks alone through onnxruntime in Python, as many runs as the
     sound needs, in whichever of two ways is faster here: one session on all
     cores, or one single-threaded session per core;
  b  `lipsyncd synth` to a folder of JPEGs, from process start to exit;
  c  the Python reference with OpenCV's JPEG encoder, from process start to exit;
  and the mel alone: `lipsyncd mel` less the time its process takes to start,
  and librosa once imported.
Ratios are medians of per-turn ratios: on a shared machine only what ran side
by side can be compared. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/python"), str(ROOT / "engines/networks")]

import daemon  # noqa: E402
import numpy as np  # noqa: E402
import reference  # noqa: E402
import sounds  # noqa: E402
import standin  # noqa: E402

TEXT = ("The daemon turns speech into the frames of a talking avatar. Every frame is drawn once, "
        "in order, and never late. Listen closely: the quick brown fox jumps over the lazy dog. ")
CORES = len(os.sched_getaffinity(0))


def speech_file(folder: pathlib.Path, seconds: float) -> pathlib.Path:
    """Speech of that length: espeak-ng's where it is installed."""
    if shutil.which("espeak-ng"):
        subprocess.run(["espeak-ng", "-w", folder / "text.wav", TEXT], check=True)
        once = reference.to_16k(*reference.read_audio(folder / "text.wav"))
    else:
        once = sounds.speech(20, seed=1)
    samples = np.resize(once, round(seconds * 16000))
    return sounds.write(folder / "speech.wav", samples)


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Networks:
    """The generator and the encoder, and nothing else."""

    def __init__(self, bundle: pathlib.Path, windows: int, frames: int):
        self.runs = (("encoder", windows), ("generator", frames))
        self.bundle = bundle
        self.ways = {f"1 session on {CORES} cores": (1, CORES), f"{CORES} sessions on 1 core": (CORES, 1)}
        trials = {way: self.seconds(way, min(1, 30 / frames)) for way in self.ways}
        self.best = min(trials, key=trials.get)

    def seconds(self, way: str, share: float = 1.0) -> float:
        """Running `share` of all runs; loading and a first run are not timed."""
        sessions, threads = self.ways[way]
        avatars = []
        for _ in range(sessions):
            avatar = reference.Avatar.load(self.bundle, threads)
            feeds = {
                "encoder": {i.name: self._input(i) for i in avatar.encoder.get_inputs()},
                "generator": {i.name: self._input(i) for i in avatar.generator.get_inputs()},
            }
            for name, feed in feeds.items():
                getattr(avatar, name).run(None, feed)
            avatars.append((avatar, feeds))

        def work(at: int) -> None:
            avatar, feeds = avatars[at]
            for name, count in self.runs:
                session, feed = getattr(avatar, name), feeds[name]
                for _ in range(at, max(1, round(count * share)), sessions):
                    session.run(None, feed)

        workers = [threading.Thread(target=work, args=(at,)) for at in range(sessions)]

        def all_at_once() -> None:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        return timed(all_at_once)

    @staticmethod
    def _input(spec) -> np.ndarray:
        return np.random.default_rng(0).random((1, *spec.shape[1:]), dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", default="full", help="of the bundle made here: full, mobile or tiny")
    parser.add_argument("--avatar", type=pathlib.Path, help="measure this bundle instead")
    parser.add_argument("--audio", type=pathlib.Path, help="speak this WAV instead")
    a = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="lipsyncd-compare-") as name:
        folder = pathlib.Path(name)
        bundle = a.avatar or folder / "avatar"
        if not a.avatar:
            print(f"making a bundle of {a.width} width ...", file=sys.stderr)
            standin.make_standin(bundle, width=a.width)
        wav = a.audio or speech_file(folder, a.seconds)
        samples, rate = reference.read_audio(wav)
        at_16k = reference.to_16k(samples, rate)
        frames = reference.frame_count(len(samples), rate)
        windows = len(reference.mel_windows(reference.mel_spectrogram(at_16k)))
        networks = Networks(bundle, windows, frames)
        print(f"{frames} frames, {CORES} cores; networks alone are fastest as {networks.best}", file=sys.stderr)

        def synth() -> None:
            shutil.rmtree(folder / "b", ignore_errors=True)
            daemon.run("synth", "--avatar", bundle, "--audio", wav, "--out", folder / "b", timeout=3600)

        def in_python() -> None:
            shutil.rmtree(folder / "c", ignore_errors=True)
            command = ["--avatar", bundle, "--audio", wav, "--out", folder / "c", "--jpeg"]
            subprocess.run([sys.executable, reference.__file__, *command], check=True, stdout=subprocess.DEVNULL)

        def mel_seconds() -> float:
            command = ("mel", "--audio", wav, "--out", folder / "mel.npy")
            starts = [timed(lambda: daemon.run("--version")) for _ in range(5)]
            return statistics.median(timed(lambda: daemon.run(*command)) for _ in range(5)) - statistics.median(starts)

        def librosa_seconds() -> float:
            return statistics.median(timed(lambda: reference.mel_spectrogram(at_16k)) for _ in range(5))

        turns = []
        for turn in range(a.repeats):
            stages = {
                "a": lambda: networks.seconds(networks.best),
                "b": lambda: timed(synth),
                "c": lambda: timed(in_python),
                "mel": mel_seconds,
                "librosa": librosa_seconds,
            }
            # Every other turn backwards, so that a machine that slows down or
            # speeds up favours nobody.
            order = list(stages)[:: 1 if turn % 2 == 0 else -1]
            times = {stage: stages[stage]() for stage in order}
            turns.append(times)
            print("  ".join(f"{s} {times[s]:.3f} s" for s in stages), file=sys.stderr)
        assert len(list((folder / "b").iterdir())) == frames

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(t[one] / t[other] for t in turns), 3)

    result = {
        "frames": frames, "cores": CORES, "networks_alone": networks.best,
        **{f"{s}_s": round(statistics.median(t[s] for t in turns), 3) for s in turns[0]},
        "synth_over_networks": ratio("b", "a"), "synth_over_python": ratio("b", "c"),
        "mel_over_librosa": ratio("mel", "librosa"),
    }
    print(f"synth / networks alone  {result['synth_over_networks']:.3f}  (at most 1.10)")
    print(f"synth / Python          {result['synth_over_python']:.3f}  (at most 0.80)")
    print(f"mel / librosa           {result['mel_over_librosa']:.3f}  (at most 0.33)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
