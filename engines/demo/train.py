"""Trains the demo's networks. Two halves, in any order or at once, and a finish:

    python train.py sound   --cache cache    mel windows -> articulation  (AudioEncoder + Listener)
    python train.py picture --cache cache    articulation -> picture      (Painter)
    python train.py mouth   --cache cache    after it: the Painter's hearing half, sharper

Seeded, resumable (start it again and it goes on from its last checkpoint), logs to `--log`.
"""

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

import mel
import recipe
from export import bundle_state, fit
from networks import AudioEncoder, Listener, Painter

ROI = (128, 64, 192)  # y, x, size: where the lower face is inside the 320x320; multiples of 32


def average(into, model, keep):
    """Exponential moving average of weights, and of batch norm's statistics."""
    with torch.no_grad():
        for a, b in zip(into.state_dict().values(), model.state_dict().values()):
            a.lerp_(b, 1 - keep) if a.dtype.is_floating_point else a.copy_(b)


class Run:
    """What both halves share: optimiser, cosine rate with warm-up, averaging, checkpoints, log."""

    def __init__(self, name, modules, options):
        self.name, self.options = name, options
        self.model = torch.nn.ModuleDict(modules)
        self.smooth = copy.deepcopy(self.model).eval()
        # the few layers that bring the code into the picture learn faster: all else waits for them
        hears = lambda n: any(part in n for part in (".code.", ".spread.", ".shape."))
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        groups = [(3.0, [p for n, p in named if hears(n)]), (1.0, [p for n, p in named if not hears(n)])]
        self.scales = [scale for scale, parameters in groups if parameters]
        self.optimiser = torch.optim.AdamW([{"params": p} for _, p in groups if p], lr=options.rate, weight_decay=options.decay)
        self.path = options.cache / f"{name}.pt"
        self.step, self.spent = 0, 0.0
        if options.bundle and not self.path.exists():
            self.log(f"begun with the networks of {options.bundle}, batch norm folded")
        if options.warm and not self.path.exists():
            saved = torch.load(options.warm)["model"]
            known = self.model.state_dict()
            fitting = {k: v for k, v in saved.items() if k in known and known[k].shape == v.shape}
            self.model.load_state_dict(fitting, strict=False)
            self.smooth.load_state_dict(self.model.state_dict())
            self.log(f"begun with {len(fitting)} of {len(known)} tensors of {options.warm}")
        if self.path.exists():
            saved = torch.load(self.path)
            self.model.load_state_dict(saved["model"])
            self.smooth.load_state_dict(saved["smooth"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step, self.spent = saved["step"], saved["spent"]
            self.log(f"resumed at step {self.step}")

    def log(self, line):
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {self.name} {line}"
        tqdm.write(line)
        with open(self.options.log, "a") as f:
            f.write(line + "\n")

    def save(self):
        saved = {"model": self.model.state_dict(), "smooth": self.smooth.state_dict(), "step": self.step,
                 "optimiser": self.optimiser.state_dict(), "spent": self.spent}
        torch.save(saved, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path)

    def run(self, loss_of, validate):
        """`loss_of(step) -> (loss, figures)` until `--steps`; validates and saves now and then."""
        options, sums, count, mark = self.options, {}, 0, time.time()
        self.model.train()
        if self.step == 0:
            size = sum(p.numel() for p in self.model.parameters())
            self.log(f"{size} parameters, torch {torch.__version__}, {torch.get_num_threads()} threads, {vars(options)}")
        for step in tqdm(range(self.step, options.steps), initial=self.step, total=options.steps, desc=self.name, mininterval=10):
            warm = min(1.0, (step + 1) / 100)
            rate = options.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
            for group, scale in zip(self.optimiser.param_groups, self.scales):
                group["lr"] = rate * scale
            torch.manual_seed(options.seed * 1_000_003 + step)  # the same step draws the same numbers after a resume
            loss, figures = loss_of(step)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            average(self.smooth, self.model, min(0.995, (step + 1) / (step + 20)))
            self.step, count = step + 1, count + 1
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            if self.step % options.every == 0 or self.step == options.steps:
                self.spent += time.time() - mark
                mark = time.time()
                mean = " ".join(f"{k} {v / count:.5f}" for k, v in sums.items())
                self.log(f"step {self.step}/{options.steps} {self.spent / 60:.1f} min rate {rate:.2e} {mean} | {validate()}")
                sums, count = {}, 0
                self.save()


def begin(name, module, options):
    """`module`, or with `--bundle` its folded form with the bundle's weights, to go on from what was shipped."""
    if not options.bundle:
        return module
    state = {k.removeprefix(name + "."): v for k, v in bundle_state(options.bundle).items() if k.startswith(name + ".")}
    return fit(module, state)


# --- sound ---------------------------------------------------------------------------------------------------

WEIGHTS = torch.tensor([3.0, 1.5, 1.0, 1.0, 0.4, 0.4, 0.3])  # per articulation number


class Corpus:
    """Mels and codes of the training utterances."""

    def __init__(self, path):
        data = np.load(path)
        self.mels = np.split(data["mels"], np.cumsum(data["mel_lengths"])[:-1])
        self.codes = np.split(data["codes"], np.cumsum(data["code_lengths"])[:-1])


def stirred(rng, spectrogram):
    """A mel at another level, for another throat, with a band missing now and then."""
    m = spectrogram.astype(np.float32)
    m = m + rng.normal(0, 0.35) + np.linspace(-1, 1, 80, dtype=np.float32) * rng.normal(0, 0.25)
    shift = rng.uniform(-3, 3)
    at = np.clip(np.arange(80) + shift, 0, 79)
    low = np.minimum(at.astype(int), 78)
    part = (at - low).astype(np.float32)
    m = m[:, low] * (1 - part) + m[:, low + 1] * part
    if rng.random() < 0.3:
        floor = rng.uniform(-4, -1.2)  # steady noise hides what is quiet
        m = np.logaddexp(m * 2.5, floor * 2.5 + rng.normal(0, 0.4, m.shape)).astype(np.float32) / 2.5
    if rng.random() < 0.4:
        width, low = rng.integers(2, 14), rng.integers(0, 66)
        m[:, low : low + width] = rng.uniform(-4, -2)
    return np.clip(m, -4, 4)


def sound_batch(corpus, rng, count):
    """Windows of `count` utterances, where each frame's 16 features are, and its code and weight."""
    windows, index, codes, weights, base = [], [], [], [], 0
    for _ in range(count):
        i = rng.integers(len(corpus.mels))
        w = mel.windows(stirred(rng, corpus.mels[i]))
        code = corpus.codes[i]
        at = mel.context_index(len(w), len(code))
        index.append(np.where(at == len(w), -1, at + base))
        opening = code[:, 0]
        near = np.lib.stride_tricks.sliding_window_view(np.pad(opening, 4, mode="edge"), 9).max(1)
        weights.append(1 + 2.5 * ((opening < -0.05) & (near > 0.1)))
        windows.append(w)
        codes.append(code)
        base += len(w)
    index = np.concatenate(index)
    tensors = np.concatenate(windows), np.where(index < 0, base, index), np.concatenate(codes), np.concatenate(weights)
    return [torch.from_numpy(np.ascontiguousarray(t)) for t in tensors]


def hear(encoder, listener, windows, index):
    """Codes `[frames, 7]`; index `len(windows)` stands for a feature of zeros."""
    features = encoder(windows).float()
    features = torch.cat([features, torch.zeros_like(features[:1])])
    return listener(features[index].reshape(len(index), 32, 16, 16)).float().flatten(1)


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def train_sound(options):
    corpus = Corpus(options.cache / "corpus.npz")
    held_out = held_out_speech(options.cache / "held_out.npz")
    halves = {"encoder": AudioEncoder(), "listener": Listener()}
    run = Run("sound", {name: begin(name, module, options) for name, module in halves.items()}, options)
    run.model["encoder"].to(memory_format=torch.channels_last)

    def loss_of(step):
        rng = np.random.default_rng((options.seed, step))
        windows, index, codes, weights = sound_batch(corpus, rng, options.batch)
        windows = windows.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            guess = hear(run.model["encoder"], run.model["listener"], windows, index)
        error = F.smooth_l1_loss(guess, codes, beta=0.1, reduction="none") * WEIGHTS
        # the change from frame to frame counts too: it is what the eye sees
        drift = F.smooth_l1_loss(guess[1:, :3] - guess[:-1, :3], codes[1:, :3] - codes[:-1, :3], beta=0.1)
        loss = (error.mean(1) * weights.float()).mean() + 0.3 * drift
        return loss, {"loss": loss.detach(), "open": (guess[:, 0] - codes[:, 0]).abs().mean().detach()}

    def validate():
        guess, truth = hear_all(run.smooth, held_out)
        spoken = np.concatenate(truth)
        heard = np.concatenate(guess)
        figures = [correlation(np.clip(heard[:, 0], 0, 1), np.clip(spoken[:, 0], 0, 1))]
        figures += [correlation(heard[:, i], spoken[:, i]) for i in (1, 2, 3)]
        return "held out: open %.4f jaw %.4f width %.4f round %.4f" % tuple(figures)

    run.run(loss_of, validate)


def hear_all(model, mels_and_codes):
    guesses = []
    with torch.no_grad():
        for spectrogram, code in zip(*mels_and_codes):
            windows = torch.from_numpy(mel.windows(spectrogram))
            index = torch.from_numpy(mel.context_index(len(windows), len(code)))
            guesses.append(hear(model["encoder"], model["listener"], windows, index).numpy())
    return guesses, mels_and_codes[1]


def held_out_speech(path):
    """Held-out texts by held-out voices, clean and spoilt: made once."""
    if not path.exists():
        from corpus import example
        from speech import Espeak
        import texts

        rng, espeak = np.random.default_rng(99), Espeak()
        mels, codes = [], []
        for languages, lines in texts.HELD_OUT.items():
            for i, text in enumerate(lines):
                samples, _, code, _ = example(rng, espeak, text, languages, texts.HELD_OUT_VARIANTS, spoilt=i % 2 == 1)
                mels.append(mel.mel_spectrogram(samples))
                codes.append(code)
        np.savez(path, mels=np.concatenate(mels), mel_lengths=[len(m) for m in mels],
                 codes=np.concatenate(codes), code_lengths=[len(c) for c in codes])
    data = np.load(path)
    return (np.split(data["mels"], np.cumsum(data["mel_lengths"])[:-1]),
            np.split(data["codes"], np.cumsum(data["code_lengths"])[:-1]))


# --- picture -------------------------------------------------------------------------------------------------


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


# --- mouth ---------------------------------------------------------------------------------------------------

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=["sound", "picture", "mouth"])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--log", type=Path, default=Path("train.log"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--decay", type=float, default=1e-4)
    parser.add_argument("--every", type=int, default=200, help="steps between log lines and checkpoints")
    parser.add_argument("--whole", type=float, default=0.12, help="last part of the picture run on nothing but whole 320x320 crops")
    parser.add_argument("--teeth", type=float, default=6.0, help="how much more a pixel of teeth counts (mouth)")
    parser.add_argument("--edges", type=float, default=1.0, help="how much the differences of neighbours count (mouth)")
    parser.add_argument("--warm", type=Path, help="begin with the fitting weights of this checkpoint")
    parser.add_argument("--bundle", type=Path, help="begin with the networks of this bundle, batch norm folded")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    default = {"sound": (2200, 10, 2e-3), "picture": (2500, 16, 3e-3), "mouth": (14000, 24, 1.5e-3)}[options.half]
    for name, value in zip(("steps", "batch", "rate"), default):
        if getattr(options, name) is None:
            setattr(options, name, value)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    {"sound": train_sound, "picture": train_picture, "mouth": train_mouth}[options.half](options)


if __name__ == "__main__":
    main()
