"""Runs each `*_one.onnx` item by item and its rewritten `*_rebatched.onnx` as one batch: `python verify.py`."""
import pathlib

import numpy as np
import onnx
import onnxruntime as ort

HERE = pathlib.Path(__file__).parent
# Sums may be taken in another order for another batch: a few steps of float32 around 1.
TOLERANCE = 1e-5
rng = np.random.default_rng(7)

for path in sorted(HERE.glob("*_rebatched.onnx")):
    onnx.checker.check_model(str(path), full_check=True)
    one = ort.InferenceSession(str(path).replace("_rebatched", "_one"), providers=["CPUExecutionProvider"])
    many = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, 3, 5):
        items = [
            {i.name: rng.normal(0, 1, i.shape).astype(np.float32) for i in one.get_inputs()} for _ in range(batch)
        ]
        joined = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
        expected = np.concatenate([one.run(None, item)[0] for item in items])
        (found,) = many.run(None, joined)
        assert found.shape == expected.shape, (found.shape, expected.shape)
        error = np.abs(found - expected).max()
        assert error < TOLERANCE, error
        print(f"{path.name}: batch {batch}: largest difference {error:.1e}")
