"""Makes the small ONNX files of this folder: `python make.py`. Versions and hashes: README.md."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
F32 = TensorProto.FLOAT
rng = np.random.default_rng(20261123)


def weights(name, *shape):
    array = rng.normal(0, 0.3, shape).astype(np.float32)
    return numpy_helper.from_array(array, name)


def ints(name, values, raw):
    """An int64 constant, its values in `raw_data` or in `int64_data`."""
    if raw:
        return numpy_helper.from_array(np.array(values, np.int64), name)
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def floats(name, values):
    return numpy_helper.from_array(np.array(values, np.float32), name)


def save(name, nodes, inputs, outputs, initializers, **save_options):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, F32, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, F32, s) for n, s in outputs],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="make.py")
    onnx.checker.check_model(model, full_check=True)
    # Intermediate shapes carry the batch, too; exporters write them.
    model = onnx.shape_inference.infer_shapes(model)
    onnx.save_model(model, HERE / f"{name}.onnx", **save_options)


def generator(name, batch, picture, audio, audio_first=False):
    """A toy U-Net with the generator's interface (size 32) and the operators real exports have."""
    n = helper.make_node
    nodes = [
        n("Conv", [picture, "w0"], ["c0"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3]),
        n("BatchNormalization", ["c0", "bn_s", "bn_b", "bn_m", "bn_v"], ["b0"]),
        n("Relu", ["b0"], ["r0"]),
        n("MaxPool", ["r0"], ["p0"], kernel_shape=[2, 2], strides=[2, 2]),
        # The sound is squeezed to a vector, given a shape, and joined at the bottom.
        n("Conv", [audio, "w1"], ["a0"], kernel_shape=[1, 1], strides=[2, 2]),
        n("LeakyRelu", ["a0"], ["a1"], alpha=0.1),
        n("Reshape", ["a1", "to_vector"], ["a2"]),
        n("Transpose", ["a2"], ["a3"], perm=[0, 2, 1]),
        n("Constant", [], ["to_planes"], value=ints("", [1, 4, 8, 8], raw=True)),
        n("Reshape", ["a3", "to_planes"], ["a4"]),
        n("Concat", ["p0", "a4"], ["j0"], axis=1),
        n("Resize", ["j0", "", "scales"], ["u0"], mode="linear", coordinate_transformation_mode="align_corners"),
        n("Pad", ["u0", "no_pads"], ["u1"]),
        n("Concat", ["u1", "r0"], ["j1"], axis=1),
        n("ConvTranspose", ["j1", "w2"], ["t0"], strides=[2, 2], kernel_shape=[2, 2]),
        n("Mul", ["t0", "gain"], ["t1"]),
        n("Sigmoid", ["t1"], ["output"]),
    ]
    initializers = [
        weights("w0", 4, 6, 3, 3), weights("w1", 4, 32, 1, 1), weights("w2", 12, 3, 2, 2),
        weights("bn_s", 4), weights("bn_b", 4), weights("bn_m", 4), floats("bn_v", [1, 2, 3, 4]),
        ints("to_vector", [1, 4, -1], raw=False), floats("scales", [1, 1, 2, 2]),
        ints("no_pads", [0] * 8, raw=True), weights("gain", 1, 3, 1, 1),
    ]
    if batch != 1:
        initializers[7] = ints("to_vector", [0, 4, -1], raw=False)
        nodes[8] = n("Constant", [], ["to_planes"], value=ints("", [-1, 4, 8, 8], raw=True))
    inputs = [(picture, [batch, 6, 32, 32]), (audio, [batch, 32, 16, 16])]
    save(name, nodes, inputs[::-1] if audio_first else inputs, [("output", [batch, 3, 32, 32])], initializers)


def encoder(name, batch, mel, flatten, **save_options):
    """A toy audio encoder; `flatten` is the constant target of its Reshape."""
    n = helper.make_node
    nodes = [
        n("Conv", [mel, "w0", "b0"], ["c0"], kernel_shape=[5, 4], strides=[20, 8]),
        n("Relu", ["c0"], ["r0"]),
        n("GlobalAveragePool", ["r0"], ["g0"]),
        n("Squeeze", ["g0", "axes"], ["s0"]),
        n("Unsqueeze", ["s0", "axes"], ["s1"]),
        n("Reshape", ["s1", "flat"], ["f0"]),
        n("Gemm", ["f0", "w1", "b1"], ["feature"], transB=1),
    ]
    initializers = [
        weights("w0", 8, 1, 5, 4), weights("b0", 8), ints("axes", [2, 3], raw=True),
        ints("flat", flatten, raw=False), weights("w1", 512, 8), weights("b1", 512),
    ]
    save(name, nodes, [(mel, [batch, 1, 80, 16])], [("feature", [batch, 512])], initializers, **save_options)


# onnx appends to a weights file that is already there.
(HERE / "encoder_external.data").unlink(missing_ok=True)
generator("generator_one", 1, "input", "audio")
generator("generator_dynamic", "batch", "visual_input", "audio_input", audio_first=True)
encoder("encoder_one", 1, "mel", [1, -1])
encoder("encoder_dynamic", "n", "mel_spectrogram", [0, -1])
# The batch cannot be followed through a target that starts with -1.
encoder("encoder_folded", 1, "mel", [-1, 8])
encoder(
    "encoder_external", 1, "mel", [1, 8],
    save_as_external_data=True, location="encoder_external.data", size_threshold=64,
)
