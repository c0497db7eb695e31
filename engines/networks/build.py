"""Writes seeded random networks in SyncTalk_2D's architecture family.

    python engines/networks/build.py --width full --seed 7 --out DIR

leaves `generator.onnx` and `audio_encoder.onnx` in DIR. Their weights are
random: they cost what trained ones cost and obey the same shapes, which is
what tests and benchmarks need, and they draw noise.
"""

from __future__ import annotations

import argparse
import pathlib

import encoder
import generator
import onnx


def write(directory: pathlib.Path, width="full", batch="dynamic", seed=0,
          generator_names=("input", "audio", "output"), encoder_names=("mel", "features"),
          audio_first=False) -> None:
    """Both networks into `directory`, which is made when missing."""
    directory.mkdir(parents=True, exist_ok=True)
    picture = generator.build(width, batch, seed, generator_names, audio_first)
    onnx.save(picture, directory / "generator.onnx")
    speech = encoder.build(width, batch, seed + 1, encoder_names)
    onnx.save(speech, directory / "audio_encoder.onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the two .onnx files")
    parser.add_argument("--width", choices=generator.CHANNELS, default="full")
    parser.add_argument("--batch", choices=("dynamic", "1", "1-baked"), default="dynamic",
                        help="1: declared so; 1-baked: a reshape inside says so too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generator-names", nargs=3, default=("input", "audio", "output"),
                        metavar=("PICTURE", "SPEECH", "OUTPUT"))
    parser.add_argument("--encoder-names", nargs=2, default=("mel", "features"),
                        metavar=("INPUT", "OUTPUT"))
    parser.add_argument("--audio-first", action="store_true",
                        help="the generator lists its speech input before the picture")
    a = parser.parse_args()
    write(a.out, a.width, a.batch, a.seed, a.generator_names, a.encoder_names, a.audio_first)


if __name__ == "__main__":
    main()
