"""Makes avatar bundles that need no training.

    python engines/networks/standin.py --out avatars/standin

leaves a drawn face in light that moves with the speech: every step of the daemon
is exercised, and a person sees where the generator paints. `make_bundle` makes
the random bundles of the tests: noise for pictures, anything odd a bundle may
hold for the rest.
"""

from __future__ import annotations

import argparse
import json
import pathlib

import encoder
import face
import generator
import numpy as np
import onnx
from PIL import Image

MANIFEST = """\
format = 1
name = "{name}"
fps = 25

[frames]
dir = "frames"
boxes = "boxes.json"
order = "{order}"

[generator]
model = "generator.onnx"
size = 320
border = {border}
mask = [{mask}]
resize = "{resize}"
channels = "{channels}"

[audio_encoder]
model = "audio_encoder.onnx"
context = 16
"""


def write_bundle(path, frames, boxes, *, name, order="ping-pong", border=4, mask=(5, 5, 310, 305),
                 channels="bgr", resize="bicubic", fmt="jpg", first=0, digits=6) -> None:
    """Everything of a bundle but its networks. `frames` are Pillow pictures."""
    path = pathlib.Path(path)
    (path / "frames").mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        file = path / "frames" / f"{number:0{digits}}.{fmt}"
        frame.save(file, **({"quality": 92} if fmt == "jpg" else {"compress_level": 1}))
    (path / "boxes.json").write_text(json.dumps([[int(v) for v in box] for box in boxes]))
    (path / "avatar.toml").write_text(MANIFEST.format(
        name=name, order=order, border=border, mask=", ".join(map(str, mask)), resize=resize,
        channels=channels))


def make_standin(path, *, width="mobile", seed=1, n_frames=30, size=(1280, 720)) -> None:
    """The drawn face, swaying and blinking once in `n_frames`."""
    drawn = [face.draw(size, i / n_frames) for i in range(n_frames)]
    # The sway ends where it began, so the loop simply starts again.
    write_bundle(path, [f for f, _ in drawn], [b for _, b in drawn], name="Stand-in", order="loop")
    path = pathlib.Path(path)
    onnx.save(generator.build(width, seed=seed, show_through=0.88), path / "generator.onnx")
    onnx.save(encoder.build(width, seed=seed + 1), path / "audio_encoder.onnx")


def noise_frame(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Coloured blobs at every scale, with grain fine enough to show any shift."""
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells, strength in ((3, 60), (8, 45), (24, 25), (90, 12)):
        small = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        blobs = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(blobs, np.float32) - 127.5) * (strength / 64)
    total += rng.normal(0, 3, total.shape)
    return Image.fromarray(np.clip(total + 127.5, 0, 255).astype(np.uint8))


def make_bundle(path, seed=0, frame_size=(640, 360), n_frames=5, box_sizes=(120, 240), *,
                fmt="jpg", order="ping-pong", width="tiny", batch="dynamic", first=0, digits=6,
                border=4, channels="bgr", mask=(5, 5, 310, 305), resize="bicubic",
                generator_names=("input", "audio", "output"), encoder_names=("mel", "features"),
                audio_first=False) -> pathlib.Path:
    """A random bundle, the same for the same arguments. Boxes are squares of
    `box_sizes[0]..=box_sizes[1]` pixels anywhere in the frame; the first touches
    the frame's top left corner and the second its bottom right."""
    path = pathlib.Path(path)
    rng = np.random.default_rng(seed)
    frames, boxes = [], []
    for i in range(n_frames):
        frames.append(noise_frame(rng, frame_size))
        side = int(rng.integers(box_sizes[0], box_sizes[1] + 1))
        room = (frame_size[0] - side, frame_size[1] - side)
        x, y = ((0, 0), room)[i] if i < 2 else (int(rng.integers(0, r + 1)) for r in room)
        boxes.append([x, y, x + side, y + side])
    write_bundle(path, frames, boxes, name=f"random {seed}", order=order, border=border, mask=mask,
                 channels=channels, resize=resize, fmt=fmt, first=first, digits=digits)
    onnx.save(generator.build(width, batch, seed, generator_names, audio_first), path / "generator.onnx")
    onnx.save(encoder.build(width, batch, seed + 1, encoder_names), path / "audio_encoder.onnx")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the bundle")
    parser.add_argument("--width", choices=generator.CHANNELS, default="mobile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=30)
    a = parser.parse_args()
    make_standin(a.out, width=a.width, seed=a.seed, n_frames=a.frames)


if __name__ == "__main__":
    main()
