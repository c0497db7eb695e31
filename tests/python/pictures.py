"""How close two pictures are."""

from __future__ import annotations

import cv2
import numpy as np


def decode(data: bytes) -> np.ndarray:
    """BGR bytes of a JPEG or PNG."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "not a picture"
    return picture


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def assert_same_frame(got: np.ndarray, expected: np.ndarray, box, decibels=48.0, largest=4, brighter=0.2) -> None:
    """Identical outside the box, and as close as asked inside."""
    assert got.shape == expected.shape
    x0, y0, x1, y1 = box
    inside, wanted = got[y0:y1, x0:x1], expected[y0:y1, x0:x1]
    outside = (got != expected).any(axis=2)
    outside[y0:y1, x0:x1] = False
    assert not outside.any(), f"{outside.sum()} pixels outside the box changed"
    worst = np.abs(inside.astype(int) - wanted).max()
    assert worst <= largest, f"largest difference {worst} inside the box"
    assert psnr(inside, wanted) >= decibels, f"{psnr(inside, wanted):.1f} dB inside the box"
    # Rounding where the recipe truncates is half a level brighter everywhere.
    bias = np.mean(inside.astype(int) - wanted)
    assert abs(bias) <= brighter, f"{bias:+.2f} levels brighter inside the box"


def jpeg_like(picture: np.ndarray, quality=75) -> np.ndarray:
    """What a viewer sees of the picture after OpenCV's JPEG of that quality."""
    return decode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
