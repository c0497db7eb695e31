"""Ways to spoil a sound bundle, and the file a complaint about each must name."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys

import daemon
import numpy as np

sys.path.insert(0, str(daemon.ROOT / "engines/networks"))

import calibration  # noqa: E402
import layers  # noqa: E402
import onnx  # noqa: E402
from PIL import Image  # noqa: E402


def edit(bundle: pathlib.Path, old: str, new: str) -> None:
    manifest = bundle / "avatar.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def boxes(bundle: pathlib.Path, change) -> None:
    file = bundle / "boxes.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def frame(bundle: pathlib.Path, at: int) -> pathlib.Path:
    return sorted((bundle / "frames").iterdir())[at]


def other_size(bundle):
    Image.new("RGB", (320, 200), (200, 30, 30)).save(frame(bundle, 2))


def other_size_network(bundle):
    """A generator of pictures half the size."""
    net = layers.Network(1)
    picture = net.input("input", "batch", calibration.pictures(net.rng, 1)[:, :, ::2, ::2])
    net.input("audio", "batch", calibration.contexts(net.rng, 1))
    onnx.save(net.model(net.conv(picture, 3), "output", "batch"), bundle / "generator.onnx")


def encoder_as_generator(bundle):
    shutil.copy(bundle / "audio_encoder.onnx", bundle / "generator.onnx")


def halve(file: pathlib.Path):
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def appended(file: pathlib.Path, nodes, constants) -> None:
    """The network with nodes behind it, which make "extra" of "old"; "extra" is added to its output."""
    model = onnx.load(file)
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["old" if name == output else name for name in node.output]
    model.graph.node.extend([*nodes, onnx.helper.make_node("Add", ["old", "extra"], [output])])
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, file)


def more_memory_than_there_is(bundle):
    make = onnx.helper.make_node
    nodes = [make("ReduceMax", ["old"], ["one"], keepdims=0), make("Expand", ["one", "shape"], ["huge"]),
             make("ReduceMin", ["huge"], ["same"], keepdims=0), make("Mul", ["same", "zero"], ["extra"])]
    # 128 TiB, as many as x86-64 has addresses for.
    appended(bundle / "generator.onnx", nodes, {"shape": np.array([1 << 20, 1 << 25]), "zero": np.float32(0)})


def weights_elsewhere_in_a_branch(bundle):
    weight = onnx.numpy_helper.from_array(np.float32([0]), "elsewhere")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="etc/passwd")
    weight.external_data.add(key="length", value="4")
    result = onnx.helper.make_tensor_value_info("is", onnx.TensorProto.FLOAT, [1])
    branch = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["elsewhere"], ["is"])], "branch", [], [result], [weight])
    node = onnx.helper.make_node("If", ["yes"], ["extra"], then_branch=branch, else_branch=branch)
    appended(bundle / "audio_encoder.onnx", [node], {"yes": np.bool_(True)})


# name: (what to do, the file named, a further word in the complaint)
FAULTS = {
    "no manifest": (lambda b: (b / "avatar.toml").unlink(), "avatar.toml", ""),
    "manifest is no TOML": (lambda b: (b / "avatar.toml").write_text("format = = 1"), "avatar.toml", ""),
    "unknown key": (lambda b: edit(b, "border = 4", "border = 4\nboarder = 4"), "avatar.toml", "border"),
    "wrong value": (lambda b: edit(b, 'order = "ping-pong"', 'order = "zigzag"'), "avatar.toml", "order"),
    "newer format": (lambda b: edit(b, "format = 1", "format = 99"), "avatar.toml", "format"),
    "mask outside": (lambda b: edit(b, "[5, 5, 310, 305]", "[5, 5, 316, 305]"), "avatar.toml", "mask"),
    "model outside": (lambda b: edit(b, '"generator.onnx"', '"../../../etc/passwd"'), "avatar.toml", "model"),
    "no frames": (lambda b: shutil.rmtree(b / "frames"), "frames", ""),
    "a frame missing": (lambda b: frame(b, 2).unlink(), "frames", "2"),
    "frames of two sizes": (other_size, "000002", "320"),
    "a frame that is text": (lambda b: frame(b, 1).write_text("no picture"), "000001", ""),
    "no boxes": (lambda b: (b / "boxes.json").unlink(), "boxes.json", ""),
    "too few boxes": (lambda b: boxes(b, lambda v: v.pop()), "boxes.json", "4"),
    "box outside": (lambda b: boxes(b, lambda v: v.__setitem__(3, [600, 10, 700, 110])), "boxes.json", "3"),
    "box inside out": (lambda b: boxes(b, lambda v: v.__setitem__(1, [90, 90, 10, 10])), "boxes.json", "1"),
    "boxes are no JSON": (lambda b: (b / "boxes.json").write_text("[[1,2"), "boxes.json", ""),
    "generator is text": (lambda b: (b / "generator.onnx").write_text("torch.save"), "generator.onnx", ""),
    "generator is cut": (lambda b: halve(b / "generator.onnx"), "generator.onnx", ""),
    "generator is empty": (lambda b: (b / "generator.onnx").write_bytes(b""), "generator.onnx", ""),
    "generator is missing": (lambda b: (b / "generator.onnx").unlink(), "generator.onnx", ""),
    "generator of other shapes": (other_size_network, "generator.onnx", "160"),
    "encoder as generator": (encoder_as_generator, "generator.onnx", ""),
    "weights elsewhere": (weights_elsewhere_in_a_branch, "audio_encoder.onnx", "etc/passwd"),
    "encoder is cut": (lambda b: halve(b / "audio_encoder.onnx"), "audio_encoder.onnx", ""),
}


def spoil(sound: pathlib.Path, at: pathlib.Path, name: str) -> pathlib.Path:
    """A copy of the sound bundle with that fault."""
    shutil.copytree(sound, at)
    FAULTS[name][0](at)
    return at
