"""The generator: a U-Net of inverted residuals with speech joined at its bottleneck."""

from __future__ import annotations

import calibration
import numpy as np
import onnx
from layers import Network

# Channels of the five levels. "full" and "mobile" are the two widths SyncTalk_2D
# is trained at; "tiny" is for tests: its U-Net works at a quarter of the size.
CHANNELS = {
    "full": (32, 64, 128, 256, 512),
    "mobile": (16, 32, 64, 128, 256),
    "tiny": (8, 12, 16, 20, 24),
}
# How much more the decoder listens to what comes from below (and so from the
# speech) than to the skip connection beside it.
FROM_BELOW = 2.0


def inverted_residual(net: Network, x: str, out: int, stride=1, *, residual=False,
                      emphasis=None) -> str:
    """1x1 to twice the channels, depthwise 3x3, 1x1 to `out`."""
    wide = 2 * net.channels(x)
    h = net.relu(net.conv(x, wide, emphasis=emphasis))
    h = net.relu(net.conv(h, wide, 3, stride, 1, depthwise=True))
    h = net.conv(h, out)
    return net.add(x, h) if residual else h


def double_conv(net: Network, x: str, out: int, stride=1, *, emphasis=None) -> str:
    h = inverted_residual(net, x, out, stride, emphasis=emphasis)
    return inverted_residual(net, h, out, residual=True)


def speech_branch(net: Network, x: str, channels) -> str:
    """`[N, 32, 16, 16]` -> `[N, channels[4], 10, 10]`, the bottleneck's size."""
    h = inverted_residual(net, x, channels[1])
    h = inverted_residual(net, h, channels[2])
    h = net.relu(net.conv(h, channels[3], 3, 1, 1))
    h = inverted_residual(net, h, channels[3], residual=True)
    # Padding 3 makes 16 -> 10, whatever the width.
    h = net.relu(net.conv(h, channels[4], 3, 2, 3))
    h = inverted_residual(net, h, channels[4], residual=True)
    return inverted_residual(net, h, channels[4], residual=True)


def up(net: Network, below: str, skip: str, out: int) -> str:
    below = net.upsample(below)
    joined = net.concat(below, skip)
    return double_conv(net, joined, out, emphasis=(net.channels(below), FROM_BELOW))


def build(width: str = "full", batch: str = "dynamic", seed: int = 0,
          names=("input", "audio", "output"), audio_first: bool = False,
          show_through: float = 0.0) -> onnx.ModelProto:
    """`[N, 6, 320, 320]` and `[N, 32, 16, 16]` -> `[N, 3, 320, 320]` in 0..1.

    `batch` is "dynamic", "1" (only the declared shape says so) or "1-baked" (a
    reshape inside says so too). `names` are picture, speech and output.
    `show_through` 0..1 mixes the unmasked picture into the output, for people
    to look at: at 0 the output is noise, at 0.9 a face in moving light.
    """
    net = Network(seed)
    channels = CHANNELS[width]
    declared = "batch" if batch == "dynamic" else 1
    count = 2 if width == "full" else 4
    data = [
        (names[0], calibration.pictures(net.rng, count)),
        (names[1], calibration.contexts(net.rng, 16)),
    ]
    for name, value in reversed(data) if audio_first else data:
        net.input(name, declared, value)
    picture, speech = names[:2]
    if batch == "1-baked":
        speech = net.reshape_baked(speech, [1, 32, 16, 16])

    if width == "tiny":
        skips = [net.relu(net.conv(picture, channels[0], 4, 4))]
        below = (channels[1], channels[2], channels[4])
    else:
        skips = [inverted_residual(net, picture, channels[0])]
        below = channels
    for out in below:
        skips.append(double_conv(net, skips[-1], out, stride=2))
    bottom = net.concat(skips.pop(), speech_branch(net, speech, channels))
    h = double_conv(net, bottom, channels[4])
    h = double_conv(net, h, channels[3])
    while skips:
        skip = skips.pop()
        # Half of what the level below will see, so that joined with its skip
        # connection it fills that level's width; the last has only itself.
        following = net.channels(skips[-1]) if skips else max(channels[0] // 2, 3)
        h = up(net, h, skip, following)
    # Deviation 1.2 before the sigmoid: nine pixels in ten between 0.12 and 0.88.
    if width == "tiny":
        coarse = net.upsample(net.conv(h, 3, spread=1.1, centred=True))
        fine = net.conv(picture, 3, 2, 2, spread=0.3, centred=True)
        logits = net.upsample(net.add(coarse, fine))
    else:
        logits = net.conv(h, 3, spread=1.2, centred=True)
    if show_through:
        logits = net.mix(logits, 1 - show_through, net.conv_of(picture, *steep_picture(show_through)))
    return net.model(net.sigmoid(logits), names[2], declared)


def steep_picture(share: float) -> tuple[np.ndarray, np.ndarray]:
    """A 1x1 convolution from the six channels to `share` of the logits whose
    sigmoid is close to the picture itself, without bright and dark extremes."""
    weight = np.zeros((3, 6, 1, 1), np.float32)
    weight[range(3), range(3)] = 4.5 * share
    return weight, np.full(3, -2.25 * share, np.float32)
