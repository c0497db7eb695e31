"""Makes the golden mouths of the demo avatar: what the Python reference draws for its own sentence.

    python tests/golden/demo/make_golden.py        # needs tests/python/requirements.txt

For each of the first 50 frames: the box as a JPEG (quality 85), and the PSNR of the reference's own pixels against that
JPEG. A backend whose picture is as good has the same PSNR; one that damages the picture has less.
"""

import json
import pathlib
import sys

import cv2
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))

import reference  # noqa: E402

FRAMES = 50


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


def main() -> None:
    bundle = ROOT / "avatars/demo"
    boxes = json.loads((bundle / "boxes.json").read_text())
    avatar = reference.Avatar.load(bundle)
    values = []
    for index, (at, picture) in enumerate(avatar.synthesize(*reference.read_audio(bundle / "sentence.wav"))):
        if index == FRAMES:
            break
        x0, y0, x1, y1 = boxes[at]
        mouth = picture[y0:y1, x0:x1]
        _, data = cv2.imencode(".jpg", mouth, [cv2.IMWRITE_JPEG_QUALITY, 85])
        (HERE / f"{index:06}.jpg").write_bytes(data)
        values.append(round(psnr(mouth, cv2.imdecode(data, cv2.IMREAD_COLOR)), 3))
    (HERE / "psnr.json").write_text(json.dumps(values) + "\n")
    print(f"{len(values)} frames, PSNR {min(values):.2f} .. {max(values):.2f} dB; OpenCV {cv2.__version__}")


if __name__ == "__main__":
    main()
