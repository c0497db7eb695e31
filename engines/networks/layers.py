"""A small ONNX writer whose convolutions come out scaled, batch norm fused.

Every convolution is drawn at random, then run in numpy on calibration data and
scaled to the size its output should have there, as a batch norm folded into
the weights would. So activations keep their size whatever the depth, and
random weights still give pictures with contrast that depend on every input.

Only the last layer is centred. Centring every channel, as a true batch norm
does, makes deep random networks chaotic: one grey level in the picture then
moves the output by hundreds, and no two implementations could be compared.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# Read by every ONNX Runtime since 1.13; newer writers default to a version
# that older runtimes refuse.
IR_VERSION = 8


def conv2d(x: np.ndarray, weight: np.ndarray, stride, pad, groups: int) -> np.ndarray:
    """`[N, C, H, W]` convolved with `[O, C/groups, kh, kw]`; groups is 1 or C."""
    (sy, sx), (py, px) = stride, pad
    kh, kw = weight.shape[2:]
    if (kh, kw) == (1, 1) and groups == 1 and (sy, sx) == (1, 1):
        n, c, h, w = x.shape
        return (weight[:, :, 0, 0] @ x.reshape(n, c, h * w)).reshape(n, -1, h, w)
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    if groups > 1:
        height = (x.shape[2] - kh) // sy + 1
        width = (x.shape[3] - kw) // sx + 1
        out = np.zeros((*x.shape[:2], height, width), np.float32)
        for dy in range(kh):
            for dx in range(kw):
                tap = x[:, :, dy : dy + sy * height : sy, dx : dx + sx * width : sx]
                out += tap[:, :, :height, :width] * weight[:, 0, dy, dx, None, None]
        return out
    windows = sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::sy, ::sx]
    return np.ascontiguousarray(
        np.tensordot(windows, weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
    )


def upsample_2x(x: np.ndarray) -> np.ndarray:
    """Bilinear, corners aligned: `torch.nn.Upsample(2, "bilinear", align_corners=True)`."""
    for axis in (2, 3):
        size = x.shape[axis]
        at = np.arange(2 * size) * (size - 1) / (2 * size - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, size - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = 2 * size
        part = (at - low).astype(np.float32).reshape(shape)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


class Network:
    """Nodes and weights written so far, and every value on the calibration data."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.calibration: dict[str, np.ndarray] = {}

    def input(self, name: str, batch: int | str, data: np.ndarray) -> str:
        """Declares `[batch, *data.shape[1:]]`; `data` is what it calibrates on."""
        shape = [batch, *data.shape[1:]]
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.calibration[name] = data.astype(np.float32)
        return name

    def channels(self, x: str) -> int:
        return self.calibration[x].shape[1]

    def conv(self, x: str, out: int, kernel=1, stride=1, pad=0, *, depthwise=False,
             spread=1.0, centred=False,
             emphasis: tuple[int, float] | None = None) -> str:
        """A random convolution whose outputs are of size `spread`: around their
        mean when `centred`, from zero otherwise.

        `emphasis = (n, factor)` weighs the first n input channels more.
        """
        kernel, stride, pad = (p if isinstance(p, tuple) else (p, p) for p in (kernel, stride, pad))
        groups = self.channels(x) if depthwise else 1
        weight = self.rng.standard_normal((out, self.channels(x) // groups, *kernel)).astype(np.float32)
        if depthwise:
            # A kernel that sums to nearly zero only sees edges, and a stack of
            # those loses the picture: keep some of the mean in each.
            weight += 0.5 * np.sign(weight.sum(axis=(2, 3), keepdims=True))
        if emphasis:
            weight[:, : emphasis[0]] *= emphasis[1]
        value = conv2d(self.calibration[x], weight, stride, pad, groups)
        if centred:
            scale = spread / value.std(axis=(0, 2, 3)).mean()
            bias = -scale * value.mean(axis=(0, 2, 3))
        else:
            scale = spread / np.sqrt(np.square(value).mean())
            bias = 0.1 * spread * self.rng.standard_normal(out)
        bias = bias.astype(np.float32)
        weight = (weight * scale).astype(np.float32)
        value = value * np.float32(scale) + bias[:, None, None]
        names = [x, self._weight(weight), self._weight(bias)]
        attributes = dict(group=groups, kernel_shape=kernel, pads=[*pad, *pad], strides=stride)
        return self._node("Conv", names, value, **attributes)

    def conv_of(self, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """The given 1x1 convolution, as it is."""
        value = conv2d(self.calibration[x], weight, (1, 1), (0, 0), 1) + bias[:, None, None]
        return self._node("Conv", [x, self._weight(weight), self._weight(bias)], value, kernel_shape=(1, 1))

    def mix(self, a: str, factor: float, b: str) -> str:
        """`a * factor + b`."""
        factor = np.float32(factor)
        names = [a, self._weight(np.array(factor))]
        return self.add(self._node("Mul", names, self.calibration[a] * factor), b)

    def relu(self, x: str) -> str:
        """Frees `x`, which no layer but this one reads in these networks."""
        return self._node("Relu", [x], np.maximum(self.calibration.pop(x), 0))

    def add(self, a: str, b: str) -> str:
        return self._node("Add", [a, b], self.calibration[a] + self.calibration[b])

    def concat(self, *parts: str) -> str:
        values = [self.calibration[p] for p in parts]
        # Cheap branches calibrate on more samples than expensive ones.
        count = min(len(v) for v in values)
        value = np.concatenate([v[:count] for v in values], axis=1)
        return self._node("Concat", parts, value, axis=1)

    def upsample(self, x: str) -> str:
        scales = self._weight(np.array([1, 1, 2, 2], np.float32))
        return self._node(
            "Resize", [x, "", scales], upsample_2x(self.calibration[x]),
            mode="linear", coordinate_transformation_mode="align_corners",
        )

    def sigmoid(self, x: str) -> str:
        return self._node("Sigmoid", [x], 1 / (1 + np.exp(-self.calibration[x])))

    def squeeze_picture(self, x: str) -> str:
        """`[N, C, 1, 1]` -> `[N, C]`, for any N."""
        axes = self._weight(np.array([2, 3], np.int64))
        return self._node("Squeeze", [x, axes], self.calibration[x][:, :, 0, 0])

    def reshape_baked(self, x: str, shape: list[int]) -> str:
        """A reshape with the batch of 1 written into the graph, as careless
        exports have it: the network cannot be made to take another batch."""
        value = self.calibration[x].reshape(-1, *shape[1:])
        return self._node("Reshape", [x, self._weight(np.array(shape, np.int64))], value)

    def model(self, output: str, name: str, batch: int | str) -> onnx.ModelProto:
        """The finished network, its one output renamed to `name`."""
        self.nodes[-1].output[0] = name
        shape = [batch, *self.calibration[output].shape[1:]]
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "lipsync", self.inputs, [result], self.weights)
        model = helper.make_model(
            graph, producer_name="lipsyncd engines/networks",
            opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _weight(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, operator: str, inputs, value: np.ndarray, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        self.calibration[name] = value
        return name
