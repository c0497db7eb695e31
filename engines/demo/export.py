"""Trained halves -> `generator.onnx` and `audio_encoder.onnx`: batch norm folded, constants folded, batch free."""

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from networks import AudioEncoder, Generator, Listener, Painter


def fold(module):
    """Folds every Conv + BatchNorm pair of `module`, in place."""
    for name, child in module.named_children():
        fold(child)
        if isinstance(child, torch.nn.Sequential):
            layers = list(child)
            for i in range(len(layers) - 1, 0, -1):
                if isinstance(layers[i], torch.nn.BatchNorm2d):
                    layers[i - 1] = fuse_conv_bn_eval(layers[i - 1], layers[i])
                    del layers[i]
            layers = [layer for layer in layers if not isinstance(layer, torch.nn.Dropout)]
            setattr(module, name, torch.nn.Sequential(*layers))
    return module


def load(cache):
    """`(encoder, generator)` with the averaged weights of both runs, ready to use."""
    sound = torch.load(cache / "sound.pt", map_location="cpu")["smooth"]
    finished = cache / "mouth.pt" if (cache / "mouth.pt").exists() else cache / "picture.pt"
    picture = torch.load(finished, map_location="cpu")["smooth"]
    part = lambda state, name: {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(name + ".")}
    restored = lambda module, state: fit(module, state).eval()
    encoder = restored(AudioEncoder(), part(sound, "encoder"))
    listener = restored(Listener(), part(sound, "listener"))
    painter = restored(Painter(), part(picture, "painter"))
    return encoder, Generator(listener, painter).eval()


def fit(module, state):
    """`module` with the weights of `state`, folded first when they are a folded module's."""
    if set(state) != set(module.state_dict()):
        fold(module.eval())
    module.load_state_dict(state)
    return module


def bundle_state(bundle):
    """The weights of a bundle's networks by parameter name: `encoder.*`, `listener.*`, `painter.*`, all folded."""
    state = {}
    for name, prefix in (("audio_encoder.onnx", "encoder."), ("generator.onnx", "")):
        for tensor in onnx.load(Path(bundle) / name).graph.initializer:
            state[prefix + tensor.name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
    return state


def write(module, path, inputs, names, output):
    """Exports, checks the graph and its agreement with PyTorch at another batch size than it was traced with."""
    free = {name: {0: "batch"} for name in (*names, output)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = module(*inputs).numpy()
        traced = tuple(x[:1] for x in inputs)
        torch.onnx.export(fold(module), traced, path, input_names=names, output_names=[output], dynamic_axes=free,
                          opset_version=17, do_constant_folding=True, dynamo=False)
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    kinds = {node.op_type for node in graph.graph.node}
    assert "BatchNormalization" not in kinds, "a batch norm was left unfolded"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run(None, {name: x.numpy() for name, x in zip(names, inputs)})[0]
    worst = np.abs(got - expected).max()
    assert worst < 1e-3, f"{path}: ONNX Runtime differs from PyTorch by {worst}"
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(graph.graph.node)} nodes {sorted(kinds)}, "
          f"PyTorch - ONNX Runtime {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--out", type=Path, default=Path("../../avatars/demo"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    encoder, generator = load(options.cache)
    picture, context = torch.rand(3, 6, 320, 320), torch.rand(3, 32, 16, 16) - 0.5
    write(generator, options.out / "generator.onnx", (picture, context), ["input", "audio"], "output")
    write(encoder, options.out / "audio_encoder.onnx", (torch.rand(3, 1, 80, 16) * 8 - 4,), ["mel"], "feature")


if __name__ == "__main__":
    main()
