"""The recipe, written down a second time: librosa, OpenCV and ONNX Runtime.

    python tests/python/reference.py --avatar DIR --audio X.wav --out DIR

This is what lipsyncd is judged against, so it shares nothing with it and is as
plain as it can be. Numbers in comments are the steps of the recipe.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import tomllib

import cv2
import librosa
import numpy as np
import onnxruntime
import scipy.signal
import soundfile

RATE = 16000
FPS = 25
SHORTEST = 15 * 200  # samples of one encoder window: 16 mel frames
# OpenCV's, without antialiasing; its cubic has a = -0.75.
FILTERS = {"bicubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR}


# ---------------------------------------------------------------- audio, 1 to 7

def read_audio(path) -> tuple[np.ndarray, int]:
    """Mono float32 in -1..1 and its rate; channels are averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1, dtype=np.float32), rate


def to_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """1. librosa's default resampler, `soxr_hq`; ceil(n * 16000 / rate) samples."""
    if rate == RATE:
        return samples
    return librosa.resample(samples, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")


def mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """2 to 4. `[T, 80]` float32 in -4..4, T = 1 + len // 200."""
    emphasised = scipy.signal.lfilter([1, -0.97], [1], samples)
    spectrum = librosa.stft(emphasised, n_fft=800, hop_length=200, win_length=800,
                            window="hann", center=True, pad_mode="constant")
    basis = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    bands = np.dot(basis, np.abs(spectrum))
    decibels = 20 * np.log10(np.maximum(1e-5, bands)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).T.astype(np.float32)


def mel_windows(mel: np.ndarray) -> np.ndarray:
    """5. `[windows, 1, 80, 16]`; the last ones are slid back to fit."""
    count = (len(mel) - 16) * 25 // 80 + 2
    starts = [min(80 * i // 25, len(mel) - 16) for i in range(count)]
    return np.stack([mel[s : s + 16].T for s in starts])[:, None]


def contexts(features: np.ndarray, frames: int) -> np.ndarray:
    """6 and 7. `[frames, 32, 16, 16]`: padded features i-8 .. i+7, zeros outside."""
    padded = np.concatenate([features[:1], features, features[-1:]])
    result = np.zeros((frames, 16, 512), np.float32)
    for i in range(frames):
        for place, at in enumerate(range(i - 8, i + 8)):
            if 0 <= at < len(padded):
                result[i, place] = padded[at]
    return result.reshape(frames, 32, 16, 16)


def frame_count(samples: int, rate: int) -> int:
    """7. ceil(seconds * fps)."""
    return -(-samples * FPS // rate)


# ---------------------------------------------------------------- the bundle

def open_network(path, threads: int = 0) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def input_of_shape(session, *shape: int) -> str:
    """The input whose shape past the batch is this: names tell nothing."""
    (name,) = [i.name for i in session.get_inputs() if list(i.shape[1:]) == list(shape)]
    return name


def natural(path: pathlib.Path) -> int:
    return int(re.sub(r"\D", "", path.stem))


@dataclasses.dataclass
class Avatar:
    """A bundle in memory. `frames` are BGR bytes, `boxes` half-open squares."""

    frames: list[np.ndarray]
    boxes: list[list[int]]
    order: str
    border: int
    mask: tuple[int, int, int, int]
    channels: str
    filter: int
    generator: onnxruntime.InferenceSession
    encoder: onnxruntime.InferenceSession

    @classmethod
    def load(cls, path, threads: int = 0) -> Avatar:
        path = pathlib.Path(path)
        manifest = tomllib.loads((path / "avatar.toml").read_text())
        files = sorted((path / manifest["frames"]["dir"]).iterdir(), key=natural)
        spec = manifest["generator"]
        return cls(
            frames=[cv2.imread(str(f), cv2.IMREAD_COLOR) for f in files],
            boxes=json.loads((path / manifest["frames"]["boxes"]).read_text()),
            order=manifest["frames"]["order"],
            border=spec["border"],
            mask=tuple(spec["mask"]),
            channels=spec["channels"],
            filter=FILTERS[spec.get("resize", "bicubic")],
            generator=open_network(path / spec["model"], threads),
            encoder=open_network(path / manifest["audio_encoder"]["model"], threads),
        )

    def frame_at(self, position: int) -> int:
        """Which frame the loop shows at a position."""
        n = len(self.frames)
        if self.order == "loop" or n == 1:
            return position % n
        at = position % (2 * n - 2)
        return at if at < n else 2 * n - 2 - at

    # ------------------------------------------------------------ picture, 8 and 9

    def crop(self, index: int) -> np.ndarray:
        """8. The box at 328x328 (320 and twice the border), BGR bytes."""
        x0, y0, x1, y1 = self.boxes[index]
        side = 320 + 2 * self.border
        return cv2.resize(self.frames[index][y0:y1, x0:x1], (side, side), interpolation=self.filter)

    def picture_input(self, index: int) -> np.ndarray:
        """8. `[1, 6, 320, 320]`: the crop's inside, and the same masked."""
        b = self.border
        inner = self.crop(index)[b : b + 320, b : b + 320]
        if self.channels == "rgb":
            inner = inner[:, :, ::-1]
        masked = inner.copy()
        x, y, width, height = self.mask
        masked[y : y + height, x : x + width] = 0
        both = np.concatenate([inner, masked], axis=2)
        return (both.transpose(2, 0, 1).astype(np.float32) / 255)[None]

    def composite(self, index: int, output: np.ndarray) -> np.ndarray:
        """9. Generator output `[3, 320, 320]` into a copy of the frame."""
        patch = (output.transpose(1, 2, 0) * 255).astype(np.uint8)
        if self.channels == "rgb":
            patch = patch[:, :, ::-1]
        b = self.border
        crop = self.crop(index)
        crop[b : b + 320, b : b + 320] = patch
        x0, y0, x1, y1 = self.boxes[index]
        frame = self.frames[index].copy()
        frame[y0:y1, x0:x1] = cv2.resize(crop, (x1 - x0, y1 - y0), interpolation=self.filter)
        return frame

    # ------------------------------------------------------------ the networks

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """`[windows, 512]`, one window a run: fixed batches of 1 exist."""
        name = input_of_shape(self.encoder, 1, 80, 16)
        runs = [self.encoder.run(None, {name: w[None]})[0] for w in windows]
        return np.concatenate(runs)

    def generate(self, picture: np.ndarray, context: np.ndarray) -> np.ndarray:
        """`[3, 320, 320]` from `[1, 6, 320, 320]` and `[32, 16, 16]`."""
        feed = {
            input_of_shape(self.generator, 6, 320, 320): picture,
            input_of_shape(self.generator, 32, 16, 16): context[None],
        }
        return self.generator.run(None, feed)[0][0]

    def contexts_of(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The context of every video frame of this audio."""
        sound = to_16k(samples, rate)
        # Short audio is padded with silence, as audio: the mel frames at its end see its last samples.
        sound = np.pad(sound, (0, max(0, SHORTEST - len(sound))))
        windows = mel_windows(mel_spectrogram(sound))
        return contexts(self.encode(windows), frame_count(len(samples), rate))

    def synthesize(self, samples: np.ndarray, rate: int, start: int = 0):
        """Yields `(avatar frame, BGR picture)` for every video frame."""
        for i, context in enumerate(self.contexts_of(samples, rate)):
            index = self.frame_at(start + i)
            output = self.generate(self.picture_input(index), context)
            yield index, self.composite(index, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--avatar", type=pathlib.Path, required=True)
    parser.add_argument("--audio", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--start-position", type=int, default=0)
    parser.add_argument("--jpeg", action="store_true", help="quality 75 instead of PNG")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    avatar = Avatar.load(a.avatar)
    kind, options = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 75]) if a.jpeg else (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])
    for i, (_, picture) in enumerate(avatar.synthesize(*read_audio(a.audio), a.start_position)):
        _, data = cv2.imencode(kind, picture, options)
        (a.out / f"{i:06}{kind}").write_bytes(data)


if __name__ == "__main__":
    main()
