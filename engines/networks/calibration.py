"""Pictures, contexts and mel windows for `layers.Network` to calibrate on."""

from __future__ import annotations

import numpy as np
from layers import upsample_2x

SIZE = 320
MASK = (5, 5, 310, 305)


def pictures(rng: np.random.Generator, count: int, mask=MASK) -> np.ndarray:
    """`[count, 6, 320, 320]` in 0..1: blobs at every scale, as in photographs,
    and beside each the same picture with the mask painted black."""
    picture = np.zeros((count, 3, 5, 5), np.float32)
    strength = 1.0
    while picture.shape[2] < SIZE:
        picture = upsample_2x(picture)
        picture += strength * rng.standard_normal(picture.shape, dtype=np.float32)
        strength *= 0.6
    spread = picture.std(axis=(1, 2, 3), keepdims=True)
    picture = np.clip(0.5 + 0.22 * picture / spread, 0, 1)
    x, y, width, height = mask
    masked = picture.copy()
    masked[:, :, y : y + height, x : x + width] = 0
    return np.concatenate([picture, masked], axis=1)


def contexts(rng: np.random.Generator, count: int) -> np.ndarray:
    """`[count, 32, 16, 16]`: 16 features a context, rectified as the encoder's
    are; from changing sounds to steady ones, every fourth all zero."""
    own = np.linspace(0.7, 0.0, count)[:, None, None]
    features = rng.standard_normal((count, 1, 512)) + own * rng.standard_normal((count, 16, 512))
    features[3::4] = 0
    return np.maximum(features, 0).astype(np.float32).reshape(count, 32, 16, 16)


def mel_windows(rng: np.random.Generator, count: int) -> np.ndarray:
    """`[count, 1, 80, 16]` in -4..4: loudness, tilt and a few bands that move."""
    band = np.linspace(-1, 1, 80)[None, :, None]
    time = np.linspace(-1, 1, 16)[None, None, :]

    def draw(low, high):
        return rng.uniform(low, high, (count, 1, 1))

    mel = draw(-4, 2) + draw(-2, 2) * band + draw(-1.5, 1.5) * time
    for _ in range(4):
        centre = draw(-1, 1) + draw(-0.5, 0.5) * time
        mel = mel + draw(0, 3) * np.exp(-(((band - centre) / draw(0.05, 0.4)) ** 2))
    mel += 0.5 * rng.standard_normal(mel.shape)
    return np.clip(mel, -4, 4).astype(np.float32)[:, None]
