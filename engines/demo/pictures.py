"""Draws the idle frames and the training pictures: the same moment with the lips shut and speaking."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

import articulation
import draw
import recipe

JPEG_QUALITY = 92


def idle_frame(index):
    """Loop frame `index` as JPEG bytes: the very bytes the bundle ships."""
    ok, data = cv2.imencode(".jpg", draw.frame(draw.pose(index)), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok
    return data


def speaking_crop(index, code):
    """What a perfect generator would answer: the 320x320 crop of loop frame `index` drawn with `code`."""
    pose = draw.pose(index)
    x0, y0, x1, y1 = box = draw.box(pose)
    return recipe.inner(recipe.crop(draw.frame(pose, code, box), (0, 0, x1 - x0, y1 - y0)))


def random_codes(rng, codes, count):
    """Codes as speech has them, the rare ones oftener, a third of them stirred so that the space is filled."""
    speaking = codes[codes[:, 0] > -0.29]
    chosen = speaking[rng.integers(len(speaking), size=count)]
    aims = np.stack(list(articulation.VISEMES.values()))
    a, b = aims[rng.integers(len(aims), size=count)], aims[rng.integers(len(aims), size=count)]
    mix = rng.random((count, 1)).astype(np.float32)
    kind = rng.random(count)
    chosen = np.where((kind < 0.35)[:, None], mix * a + (1 - mix) * b, chosen)
    chosen = np.where((kind > 0.94)[:, None], articulation.REST, chosen)
    stir = rng.normal(0, 0.06, chosen.shape) * (rng.random((count, 1)) < 0.5)
    return (chosen + stir).clip([-0.35, -0.05, -1, -0.1, -0.1, -0.1, -0.1], 1.05).astype(np.float32)


def build(folder, count, seed):
    """Writes `references.npy [125, 328, 328, 3]`, `targets.npy [count, 320, 320, 3]`, `codes.npy`, `places.npy`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    frames = [cv2.imdecode(idle_frame(i), cv2.IMREAD_COLOR) for i in tqdm(range(draw.FRAMES), desc="idle", mininterval=5)]
    np.save(folder / "references.npy", np.stack([recipe.crop(f, draw.box(draw.pose(i))) for i, f in enumerate(frames)]))
    places = rng.integers(draw.FRAMES, size=count)
    codes = random_codes(rng, np.load(folder / "corpus.npz")["codes"], count)
    targets = np.lib.format.open_memmap(folder / "targets.npy", "w+", np.uint8, (count, 320, 320, 3))
    for i in tqdm(range(count), desc="pictures", mininterval=10):
        targets[i] = speaking_crop(int(places[i]), codes[i])
    targets.flush()
    np.save(folder / "codes.npy", codes)
    np.save(folder / "places.npy", places)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    build(options.cache, options.count, options.seed)
