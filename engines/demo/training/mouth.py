"""The Painter's hearing half, sharper: after the picture run, or on from shipped networks."""

import numpy as np
import torch
from torch.nn import functional as F

from networks import Painter

from .picture import mouth_weight, picture_input
from .run import Run, begin

AREAS = ((176, 96, 96, 128), (160, 64, 160, 192), (176, 96, 96, 128), (0, 0, 320, 320))  # y, x, height, width


def teeth(truth):
    """1 where the drawing shows teeth: bright and hardly coloured, which skin, lips and tongue never are."""
    low, high = truth.amin(1, keepdim=True), truth.amax(1, keepdim=True)
    return ((low > 0.42) & (high - low < 0.16)).float()


def train_mouth(options):
    """Sharpens: the half that looks is frozen (its answers on 125 frames are kept), the other paints mostly mouths.

    Batch norm keeps the statistics it has, so that a mouth alone is painted as it is within the whole picture.
    """
    references = np.load(options.cache / "references.npy")
    targets = np.load(options.cache / "targets.npy", mmap_mode="r")
    codes, places = np.load(options.cache / "codes.npy"), np.load(options.cache / "places.npy")
    kept = len(targets) - 64
    painter = begin("painter", Painter(), options)
    if not options.bundle:
        begun = torch.load(options.warm or options.cache / "picture.pt")["smooth"]
        painter.load_state_dict({k.removeprefix("painter."): v for k, v in begun.items()})
    looking = [painter.stem, painter.down1, painter.down2, painter.down3, painter.down4]
    for module in looking:
        module.requires_grad_(False)
    inputs, weight = picture_input(references), mouth_weight()
    with torch.no_grad():
        painter.eval()
        seen = [torch.cat(level) for level in zip(*(painter.look(some) for some in inputs.split(5)))]
    options.warm = None
    run = Run("mouth", {"painter": painter}, options)
    run.model.to(memory_format=torch.channels_last)
    run.model.train = lambda mode=True: run.model  # batch norm stays as it is

    def paint(model, chosen, area, bf16):
        at = torch.from_numpy(places[chosen])
        y, x, height, width = area
        truth = torch.from_numpy(targets[chosen, y : y + height, x : x + width]).permute(0, 3, 1, 2).float() / 255
        levels = [level[at].contiguous(memory_format=torch.channels_last) for level in seen]
        code = torch.from_numpy(codes[chosen])[:, :, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.paint_over(inputs[at, :3], levels, code, area=area), truth

    def loss_of(step):
        rng = np.random.default_rng((options.seed, 1, step))
        area = AREAS[step % len(AREAS)]
        count = max(4, options.batch * 96 * 128 // (area[2] * area[3]))
        painted, truth = paint(run.model["painter"], np.sort(rng.choice(kept, count, replace=False)), area, options.bf16)
        y, x, height, width = area
        flat = weight[:, :, y : y + height, x : x + width]
        # a few hundred pixels of teeth would be outvoted by thousands of pixels of skin: grown by a pixel, for their outlines
        w = flat * (1 + options.teeth * F.max_pool2d(teeth(truth), 3, 1, 1))
        error = painted.float() - truth
        plain = (error.abs() * w).sum() / (flat.sum() * 3 * len(error))
        edges = sum(((error.diff(dim=d)).abs() * w.narrow(d, 1, w.shape[d] - 1)).mean() for d in (2, 3)) / flat.mean()
        mouth = {"l1": plain.detach(), "edges": edges.detach()} if step % 2 == 0 else {}
        return plain + options.edges * edges, mouth

    def validate():
        squares = []
        for some in np.split(np.arange(kept, kept + 64), 8):
            with torch.no_grad():
                painted, truth = paint(run.smooth["painter"], some, (0, 0, 320, 320), False)
            squares.append((painted - truth).square())
        square = torch.cat(squares)
        whole, mouth = (-10 * s.mean((1, 2, 3)).log10() for s in (square, square[:, :, 180:276, 96:224]))
        return f"held out: box PSNR {whole.mean():.2f} dB (min {whole.min():.2f}), mouth {mouth.mean():.2f} (min {mouth.min():.2f})"

    run.run(loss_of, validate)
