"""Do OpenCV, Pillow and ffmpeg see the same pixels in a spliced frame as in a full encode without restart markers?

    LIPSYNCD_SPLICE_OUT=/tmp/spliced cargo test --test splice -- --ignored
    python tests/outside_decoders.py /tmp/spliced          # opencv-python-headless, Pillow, numpy; ffmpeg on PATH
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def opencv(path):
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


def pillow(path):
    return np.asarray(Image.open(path).convert("RGB"))


def ffmpeg(path):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    result = subprocess.run(command, capture_output=True, check=True)
    assert not result.stderr, result.stderr
    return np.frombuffer(result.stdout, np.uint8)


def check(path):
    plain = path.with_name(path.name.replace("spliced", "unmarked"))
    for decode in (opencv, pillow, ffmpeg):
        a, b = decode(path), decode(plain)
        assert a is not None and a.size and np.array_equal(a, b), (decode.__name__, path)


def main():
    spliced = sorted(Path(sys.argv[1]).glob("*_spliced.jpg"))
    assert spliced, "no files: run the ignored test of tests/splice.rs first"
    # Most of the time is ffmpeg's start, 400 times.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(check, spliced):
            pass
    print(len(spliced), "files: OpenCV", cv2.__version__, "Pillow and ffmpeg agree on every pixel")


if __name__ == "__main__":
    main()
