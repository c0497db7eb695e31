"""The audio encoder: SyncTalk_2D's "ave" stack of plain and residual convolutions."""

from __future__ import annotations

import calibration
import onnx
from layers import Network

FEATURES = 512
# Channels of the four resolutions (80, 27, 9 and 3 bands high); the last
# convolution always makes the 512 features.
CHANNELS = {
    "full": (32, 64, 128, 256),
    "mobile": (32, 64, 128, 256),
    "tiny": (4, 6, 8, 12),
}
STRIDES = (1, (3, 1), 3, (3, 2))
# A residual convolution or two follow each change of resolution.
RESIDUALS = (2, 2, 2, 1)


def build(width: str = "full", batch: str = "dynamic", seed: int = 0,
          names=("mel", "features")) -> onnx.ModelProto:
    """`[N, 1, 80, 16]` (bands, then time) -> `[N, 512]`, zero or more each.

    `batch` and `names` as in `generator.build`.
    """
    net = Network(seed)
    declared = "batch" if batch == "dynamic" else 1
    h = net.input(names[0], declared, calibration.mel_windows(net.rng, 48))
    for channels, stride, residuals in zip(CHANNELS[width], STRIDES, RESIDUALS):
        h = net.relu(net.conv(h, channels, 3, stride, 1))
        for _ in range(residuals if width != "tiny" else 1):
            h = net.relu(net.add(net.conv(h, channels, 3, 1, 1), h))
    h = net.relu(net.conv(h, 16 if width == "tiny" else FEATURES, 3))
    h = net.relu(net.conv(h, FEATURES))
    h = net.reshape_baked(h, [1, FEATURES]) if batch == "1-baked" else net.squeeze_picture(h)
    return net.model(h, names[1], declared)
