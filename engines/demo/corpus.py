"""Builds the training corpus: what was said, spoilt as real recordings are, with the mouth shapes it asks for."""

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve, resample_poly
from tqdm import tqdm

import articulation
import mel
import texts
from speech import SAMPLE_RATE, Espeak, Utterance, Voice

VOICELESS_STOPS = ("p", "t", "k", "c", "ʈ", "q")


def closures(utterance):
    """Gives voiceless stops the silence before their burst.

    espeak-ng reports /p t k/ at the burst, which is when the mouth opens: the closure before it is counted to the
    sound before. The quiet stretch of up to 100 ms that ends at the burst is moved to the stop.
    """
    block = SAMPLE_RATE // 200
    count = len(utterance.samples) // block
    loud = np.sqrt((utterance.samples[: count * block].reshape(-1, block) ** 2).mean(1))
    phonemes = [list(p) for p in utterance.phonemes]
    for before, stop in zip([None, *phonemes], phonemes):
        if not stop[2].startswith(VOICELESS_STOPS):
            continue
        floor = before[0] + 0.02 if before else 0.0
        at = min(int(stop[0] * 200) - 1, count - 1)
        while at / 200 > max(floor, stop[0] - 0.10) and loud[at] < 0.015:
            at -= 1
        quiet = (at + 1) / 200
        if quiet < stop[0]:
            stop[1] = min(stop[1], stop[0] + 0.02)
            stop[0] = quiet
            if before:
                before[1] = min(before[1], quiet)
    return Utterance(utterance.samples, [tuple(p) for p in phonemes], utterance.words)


def random_voice(rng, languages, variants):
    name, variant = languages[rng.integers(len(languages))], variants[rng.integers(len(variants))]
    return Voice(
        f"{name}+{variant}" if variant else name,
        int(rng.integers(115, 225)),
        int(rng.integers(20, 85)),
        int(rng.integers(20, 80)),
    )


def padded(utterance, before, after):
    """The utterance with seconds of silence around it."""
    silence = lambda s: np.zeros(int(s * SAMPLE_RATE), np.float32)
    move = lambda marks: [(a + before, b + before, name) for a, b, name in marks]
    samples = np.concatenate([silence(before), utterance.samples, silence(after)])
    return Utterance(samples, move(utterance.phonemes), move(utterance.words))


def stretched(utterance, ratio):
    """Played `ratio` times as fast: a shorter vocal tract and a quicker, higher voice, or the reverse."""
    samples = resample_poly(utterance.samples, 100, round(100 * ratio)).astype(np.float32)
    scale = len(samples) / len(utterance.samples)
    move = lambda marks: [(a * scale, b * scale, name) for a, b, name in marks]
    return Utterance(samples, move(utterance.phonemes), move(utterance.words))


def noise(rng, count):
    """Unit-power noise with a random slope from white to brown, swelling slowly."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    hz = np.arange(len(spectrum)) / count * SAMPLE_RATE
    spectrum *= (hz + 40.0) ** -rng.uniform(0.0, 1.1)
    if rng.random() < 0.3:  # mains hum
        spectrum[int(50 * count / SAMPLE_RATE)] *= 6
    sound = np.fft.irfft(spectrum, count)
    swell = np.interp(np.arange(count), np.linspace(0, count, 8), rng.uniform(0.5, 1.5, 8))
    sound = sound * swell
    return sound / (np.sqrt((sound**2).mean()) + 1e-9)


def spoil(rng, samples):
    """Room, microphone, level and noise: speech as it comes from real recordings."""
    sound = samples.astype(np.float64)
    power = np.sqrt((sound**2).mean()) + 1e-9
    if rng.random() < 0.5:  # room: a decaying tail
        length = int(rng.uniform(0.05, 0.35) * SAMPLE_RATE)
        tail = rng.normal(size=length) * np.exp(-np.arange(length) / (length / 5)) * rng.uniform(0.01, 0.06)
        tail[0] = 1.0
        sound = fftconvolve(sound, tail)[: len(sound)]
    if rng.random() < 0.8:  # microphone and voice: a smooth random equaliser, +-10 dB
        spectrum = np.fft.rfft(sound)
        hz = np.arange(len(spectrum)) / len(sound) * SAMPLE_RATE
        knots = np.array([0, 150, 400, 900, 1800, 3200, 5000, 8000])
        gain = np.interp(np.log(hz + 60), np.log(knots + 60), rng.normal(0, 4.5, len(knots)) + rng.normal(0, 2) * np.linspace(-1, 1, 8))
        if rng.random() < 0.15:  # telephone
            gain -= 40 * ((hz < 250) | (hz > 3500))
        sound = np.fft.irfft(spectrum * 10 ** (gain / 20), len(sound))
    if rng.random() < 0.75:
        sound = sound + noise(rng, len(sound)) * power * 10 ** (-rng.uniform(8, 45) / 20)
    if rng.random() < 0.3:  # breaths and knocks that must not move the mouth
        for _ in range(rng.integers(1, 3)):
            length = int(rng.uniform(0.05, 0.4) * SAMPLE_RATE)
            at = rng.integers(0, max(1, len(sound) - length))
            if np.abs(samples[at : at + length]).max(initial=0) < 1e-3:
                sound[at : at + length] += noise(rng, length)[: len(sound) - at] * np.hanning(length) * power * rng.uniform(0.05, 0.3)
    peak = np.abs(sound).max() + 1e-9
    sound *= 10 ** (-rng.uniform(0.5, 24) / 20) / peak
    return np.clip(sound, -1, 1).astype(np.float32)


def example(rng, espeak, text, languages, variants, spoilt=True):
    """One spoken text: spoilt samples, its utterance with times, and its articulation per video frame."""
    while True:
        voice = random_voice(rng, languages, variants)
        try:
            spoken = closures(espeak.say(text, voice))
            break
        except ValueError:
            continue
    if spoilt:
        spoken = stretched(spoken, rng.uniform(0.86, 1.16))
    spoken = padded(spoken, rng.uniform(0.15, 0.9), rng.uniform(0.15, 0.9))
    samples = spoil(rng, spoken.samples) if spoilt else spoken.samples
    frames = mel.frame_count(samples)
    code = articulation.at_frames(articulation.track(spoken.phonemes, spoken.seconds), frames)
    return samples, spoken, code, voice


def build(path, per_text, seed):
    """Writes mels and codes of `per_text` readings of every training text to one `.npz`."""
    rng, espeak = np.random.default_rng(seed), Espeak()
    mels, codes = [], []
    jobs = [(t, languages) for languages, lines in texts.TRAIN.items() for t in lines for _ in range(per_text)]
    rng.shuffle(jobs)
    for text, languages in tqdm(jobs, desc="corpus", mininterval=5):
        samples, _, code, _ = example(rng, espeak, text, languages, texts.TRAIN_VARIANTS)
        mels.append(mel.mel_spectrogram(samples))
        codes.append(code)
    for _ in range(per_text * 6):  # nobody speaks: the mouth stays shut
        count = int(rng.uniform(2, 5) * SAMPLE_RATE)
        level = 10 ** (-rng.uniform(25, 80) / 20)
        samples = (noise(rng, count) * level).astype(np.float32) if rng.random() < 0.9 else np.zeros(count, np.float32)
        mels.append(mel.mel_spectrogram(samples))
        codes.append(np.repeat(articulation.REST[None], mel.frame_count(samples), 0))
    np.savez(path, mels=np.concatenate(mels).astype(np.float16), mel_lengths=[len(m) for m in mels],
             codes=np.concatenate(codes), code_lengths=[len(c) for c in codes])
    print(f"{len(codes)} utterances, {sum(map(len, codes)) / mel.FPS / 60:.1f} minutes -> {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("cache/corpus.npz"))
    parser.add_argument("--per-text", type=int, default=18)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    build(options.out, options.per_text, options.seed)
