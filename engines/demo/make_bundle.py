"""Writes the bundle's still parts: frames, boxes, manifest and the sentence. `export.py` adds the networks."""

import argparse
import json
from pathlib import Path

from tqdm import tqdm

import draw
import texts
from corpus import closures, padded
from pictures import idle_frame
from speech import Espeak, Voice, write_wav

SENTENCE_VOICE = Voice("en-us+f4", 165, 52, 60)

MANIFEST = """\
# The demo avatar: drawn, spoken and trained by engines/demo. See README.md beside this file.
format = 1
name = "demo"
fps = 25

[frames]
dir = "frames"
boxes = "boxes.json"
order = "ping-pong"

[generator]
model = "generator.onnx"
size = 320
border = 4
mask = [5, 5, 310, 305]
channels = "bgr"

[audio_encoder]
model = "audio_encoder.onnx"
context = 16
"""


def sentence():
    """The shipped sentence with its phonemes and words in time."""
    return padded(closures(Espeak().say(texts.SENTENCE, SENTENCE_VOICE)), 0.25, 0.35)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("../../avatars/demo"))
    options = parser.parse_args()
    (options.out / "frames").mkdir(parents=True, exist_ok=True)
    for i in tqdm(range(draw.FRAMES), desc="frames"):
        (options.out / "frames" / f"{i:06}.jpg").write_bytes(idle_frame(i).tobytes())
    boxes = [draw.box(draw.pose(i)) for i in range(draw.FRAMES)]
    (options.out / "boxes.json").write_text("[\n" + ",\n".join(json.dumps(b) for b in boxes) + "\n]\n")
    (options.out / "avatar.toml").write_text(MANIFEST)
    spoken = sentence()
    write_wav(options.out / "sentence.wav", spoken.samples * (0.7 / abs(spoken.samples).max()))
    print(f"sentence.wav: {spoken.seconds:.2f} s: {texts.SENTENCE}")


if __name__ == "__main__":
    main()
