"""Sounds for the tests, and WAV files written byte by byte where a library would refuse."""

from __future__ import annotations

import pathlib
import struct

import numpy as np
import soundfile


def speech(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Something like a voice, float32: syllables of moving formants over a
    gliding pitch, hiss between them, a pause now and then."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    knots = np.arange(0, seconds + 0.4, 0.2)

    def glide(low, high):
        return np.interp(time, knots, rng.uniform(low, high, len(knots)))

    loudness = glide(-0.3, 1).clip(0)
    phase = 2 * np.pi * np.cumsum(glide(90, 180)) / rate
    formants = [glide(300, 900), glide(900, 2400), glide(2400, 3400)]
    voice = np.zeros(count)
    for harmonic in range(1, 40):
        frequency = harmonic * np.gradient(phase) * rate / (2 * np.pi)
        if frequency.size and frequency.max() > 0.45 * rate:
            break
        gain = sum(np.exp(-(((frequency - f) / 150) ** 2)) for f in formants) + 0.05
        voice += gain / harmonic**0.5 * np.sin(harmonic * phase)
    hiss = rng.standard_normal(count) * glide(-0.2, 0.1).clip(0)
    return (0.25 * loudness * voice + hiss * 0.5).clip(-1, 1).astype(np.float32)


def write(path, samples: np.ndarray, rate: int = 16000, subtype: str = "PCM_16") -> pathlib.Path:
    """A WAV; `samples` is `[n]` or `[n, channels]`."""
    soundfile.write(path, samples, rate, subtype=subtype, format="WAV")
    return pathlib.Path(path)


def wav_bytes(data: bytes, *, rate=16000, channels=1, bits=16, tag=1) -> bytes:
    """A WAV with any header over any data, sense or nonsense."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, (rate * block) % 2**32, block % 2**16, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def bad_wavs() -> dict[str, bytes]:
    """Files no one should accept, by what is wrong with them."""
    tone = (np.sin(np.arange(3200) / 10) * 9000).astype("<i2").tobytes()
    not_a_number = np.zeros(3200, "<f4")
    not_a_number[1000] = np.nan
    infinite = np.zeros(3200, "<f4")
    infinite[5] = np.inf
    sound = wav_bytes(tone)
    return {
        "empty": b"",
        "no-samples": wav_bytes(b""),
        "text": b"this is no sound at all, it is a sentence",
        "header-cut": sound[:30],
        "data-cut": sound[:-1001],
        "nan": wav_bytes(not_a_number.tobytes(), bits=32, tag=3),
        "infinite": wav_bytes(infinite.tobytes(), bits=32, tag=3),
        "0-hz": wav_bytes(tone, rate=0),
        "11-channels": wav_bytes(tone + tone[:-8], channels=11),
        "0-channels": wav_bytes(tone, channels=0),
        "odd-bytes": wav_bytes(tone[:-1]),
        "12-bit": wav_bytes(tone, bits=12),
        "mp3-inside": wav_bytes(tone, tag=0x55),
    }
