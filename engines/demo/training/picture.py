"""Articulation -> picture: the Painter, on drawings whose articulation is known."""

import numpy as np
import torch

import recipe
from networks import Painter

from .run import Run

ROI = (128, 64, 192)  # y, x, size: where the lower face is inside the 320x320; multiples of 32


def mouth_weight():
    """How much each pixel of the 320x320 counts: 1, up to 10 about the mouth."""
    y, x = np.mgrid[0:320, 0:320].astype(np.float32)
    hill = np.exp(-(((x - 160) / 62) ** 4 + ((y - 228) / 46) ** 4))
    return torch.from_numpy(1 + 9 * hill)[None, None]


def picture_input(crops):
    """`[N, 6, 320, 320]` from 328x328 byte crops."""
    return torch.from_numpy(np.stack([recipe.generator_input(c) for c in crops]))


def train_picture(options):
    references = np.load(options.cache / "references.npy")
    targets = np.load(options.cache / "targets.npy", mmap_mode="r")
    codes, places = np.load(options.cache / "codes.npy"), np.load(options.cache / "places.npy")
    kept = len(targets) - 64  # the last 64 pictures are only ever looked at
    run = Run("picture", {"painter": Painter()}, options)
    run.model.to(memory_format=torch.channels_last)
    inputs, weight = picture_input(references), mouth_weight()
    whole_from = int(options.steps * (1 - options.whole))

    def batch(chosen, roi):
        picture = inputs[places[chosen]]
        truth = torch.from_numpy(targets[chosen]).permute(0, 3, 1, 2)
        w = weight
        if roi is not None:
            y, x, size = roi
            cut = (..., slice(y, y + size), slice(x, x + size))
            picture, truth, w = picture[cut], truth[cut], weight[cut]
        code = torch.from_numpy(codes[chosen])[:, :, None, None]
        return picture.contiguous(memory_format=torch.channels_last), truth.float() / 255, w, code

    def loss_of(step):
        rng = np.random.default_rng((options.seed, step))
        roi = ROI if step < whole_from and step % 4 else None
        count = options.batch if roi else options.batch * 3 // 8  # as many pixels either way
        picture, truth, w, code = batch(np.sort(rng.choice(kept, count, replace=False)), roi)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            painted = run.model["painter"](picture, code, roi)
        error = painted.float() - truth
        plain = (error.abs() * w).sum() / (w.sum() * 3 * len(error))
        edges = sum(((error.diff(dim=d)).abs() * w.narrow(d, 1, w.shape[d] - 1)).mean() for d in (2, 3))
        loss = plain + 0.5 * edges / w.mean()
        return loss, {"l1": plain.detach(), "edges": edges.detach()}

    def validate():
        chosen = np.arange(kept, kept + 64)
        figures = []
        for part in np.split(chosen, 8):
            picture, truth, _, code = batch(part, None)
            with torch.no_grad():
                painted = run.smooth["painter"](picture, code)
            square = (painted - truth).square()
            mouth = square[:, :, 180:276, 96:224].mean((1, 2, 3))
            figures.append((square.mean((1, 2, 3)), mouth))
        whole, mouth = (-10 * torch.cat(f).log10() for f in zip(*figures))
        return f"held out: box PSNR {whole.mean():.2f} dB (min {whole.min():.2f}), mouth {mouth.mean():.2f} (min {mouth.min():.2f})"

    run.run(loss_of, validate)
