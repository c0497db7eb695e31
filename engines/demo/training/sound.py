"""Mel windows -> articulation: AudioEncoder and Listener, on speech whose articulation is known."""

import numpy as np
import torch
from torch.nn import functional as F

import mel
from networks import AudioEncoder, Listener

from .run import Run, begin

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
