"""The random networks are worth testing with: seeded, lively, and of the right shapes."""

import calibration
import encoder
import generator
import numpy as np
import onnxruntime
import pytest


def run(model, **inputs) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.mark.parametrize("width, seed", [("tiny", 3), ("tiny", 11), ("mobile", 3)])
def test_pictures_have_contrast_and_follow_both_inputs(width, seed):
    rng = np.random.default_rng(seed)
    features = run(encoder.build(width, seed=seed), mel=calibration.mel_windows(rng, 17))
    contexts = [features[i : i + 16].reshape(1, 32, 16, 16) for i in (0, 1)]
    pictures = calibration.pictures(rng, 2)
    model = generator.build(width, seed=seed)
    still = run(model, input=pictures[:1], audio=contexts[0]) * 255
    low, high = np.percentile(still, [5, 95])
    assert still.shape == (1, 3, 320, 320) and high - low > 80
    assert np.abs(run(model, input=pictures[:1], audio=contexts[1]) * 255 - still).max() > 5
    assert np.abs(run(model, input=pictures[1:], audio=contexts[0]) * 255 - still).max() > 50
    # A grey level's difference in the input must stay about that in the output,
    # or no two implementations could be compared.
    noisy = np.clip(pictures[:1] + rng.integers(-1, 2, still.shape[:1] + (6, 320, 320)) / 255, 0, 1)
    difference = np.abs(run(model, input=noisy.astype(np.float32), audio=contexts[0]) * 255 - still)
    assert difference.mean() < 0.6


def test_a_seed_is_a_network():
    one, again, other = (generator.build("tiny", seed=s).SerializeToString() for s in (5, 5, 6))
    assert one == again != other


@pytest.mark.parametrize("batch, shape", [("dynamic", 3), ("1", 1), ("1-baked", 1)])
def test_batches(batch, shape):
    rng = np.random.default_rng(0)
    model = generator.build("tiny", batch, names=("p", "s", "o"), audio_first=True)
    assert [i.name for i in model.graph.input] == ["s", "p"]
    out = run(model, p=calibration.pictures(rng, shape), s=calibration.contexts(rng, shape))
    assert out.shape == (shape, 3, 320, 320)
    assert run(encoder.build("tiny", batch), mel=calibration.mel_windows(rng, shape)).shape == (shape, 512)
