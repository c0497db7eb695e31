"""`lipsyncd mel` against librosa."""

import os
import struct
import subprocess

import daemon
import numpy as np
import pytest
import reference
import soundfile
import sounds

RATE = 16000


def mel_of(path, tmp_path) -> np.ndarray:
    daemon.run("mel", "--audio", path, "--out", tmp_path / "mel.npy")
    mel = np.load(tmp_path / "mel.npy", allow_pickle=False)
    assert mel.dtype == np.float32
    return mel


def compare(path, tmp_path) -> None:
    """At 16 kHz nothing but rounding lies between the two."""
    expected = reference.mel_spectrogram(reference.read_audio(path)[0])
    got = mel_of(path, tmp_path)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-3


def signals():
    time = np.arange(RATE) / RATE
    impulse = np.zeros(RATE, np.float32)
    impulse[[0, 5000, RATE - 1]] = 1
    return {
        "speech": sounds.speech(2.0, seed=4),
        "silence": np.zeros(RATE),
        "noise": np.random.default_rng(0).uniform(-1, 1, RATE),
        "square": np.sign(np.sin(2 * np.pi * 441 * time)) * 0.999,
        "sweep": np.sin(2 * np.pi * (20 * time + 4000 * time**2)),
        "impulse": impulse,
        "constant": np.full(RATE, 0.5),
        "faint": 1e-4 * sounds.speech(1.0, seed=5),
    }


@pytest.mark.parametrize("name", signals())
def test_any_signal(name, tmp_path):
    compare(sounds.write(tmp_path / "a.wav", signals()[name], subtype="FLOAT"), tmp_path)


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 399, 400, 401, 800, 3000, 3200, 12345])
def test_any_length(count, tmp_path):
    voice = sounds.speech(1.0, seed=6)[:count]
    compare(sounds.write(tmp_path / "a.wav", voice, subtype="FLOAT"), tmp_path)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_format(subtype, channels, tmp_path):
    voices = np.stack([sounds.speech(0.7, seed=7 + c) for c in range(channels)], axis=1)
    compare(sounds.write(tmp_path / "a.wav", voices, subtype=subtype), tmp_path)


def test_extensible_header(tmp_path):
    """What recorders write for 24 bits or many channels."""
    voices = np.stack([sounds.speech(0.5, seed=c) for c in range(3)], axis=1)
    soundfile.write(tmp_path / "a.wav", voices, RATE, subtype="PCM_24", format="WAVEX")
    compare(tmp_path / "a.wav", tmp_path)


def test_other_chunks_are_skipped(tmp_path):
    """A WAV as editors write it: notes before the sound, of odd length, and after."""
    plain = sounds.write(tmp_path / "a.wav", sounds.speech(0.3, seed=3)).read_bytes()
    note = b"LIST" + struct.pack("<I", 7) + b"INFOabc\0"
    body = plain[12:36] + note + plain[36:] + note
    file = tmp_path / "b.wav"
    file.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    assert np.array_equal(mel_of(file, tmp_path), mel_of(tmp_path / "a.wav", tmp_path))


@pytest.mark.parametrize("rate, mean", [(44100, 0.005), (48000, 0.005), (22050, 0.01), (32000, 0.01),
                                        (96000, 0.01), (11025, 0.02), (8000, 0.02)])
def test_any_rate(rate, mean, tmp_path):
    """Two good resamplers differ only where one of them still passes a little
    at the edge of its band."""
    # A length in the middle of a hop, where one sample more or less is no matter.
    path = sounds.write(tmp_path / "a.wav", sounds.speech(2.007, rate, seed=8), rate)
    samples, _ = reference.read_audio(path)
    expected = reference.mel_spectrogram(reference.to_16k(samples, rate))
    got = mel_of(path, tmp_path)
    assert got.shape == expected.shape
    assert np.abs(got - expected).mean() <= mean


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.3, seed=3))
    expected = mel_of(wav, tmp_path)
    (tmp_path / "there.npy").write_bytes(b"old")
    link = tmp_path / "link.npy"
    link.symlink_to("there.npy")
    daemon.run("mel", "--audio", wav, "--out", link)
    assert link.is_symlink() and np.array_equal(np.load(tmp_path / "there.npy"), expected)
    # As /dev/stdout leads to it, be that a file with a name, one without, or a pipe.
    link.unlink()
    link.symlink_to("/proc/self/fd/1")
    command = [daemon.binary(), "mel", "--audio", wav, "--out", link]
    for nameless in (False, True):
        with open(tmp_path / "stdout.npy", "w+b") as stdout:
            if nameless:
                os.unlink(tmp_path / "stdout.npy")
            subprocess.run(command, check=True, stdout=stdout, env=daemon.environment())
            stdout.seek(0)
            written = stdout.read() if nameless else (tmp_path / "stdout.npy").read_bytes()
        assert written == (tmp_path / "there.npy").read_bytes() and link.is_symlink()
    piped = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=daemon.environment()).stdout
    assert piped == (tmp_path / "there.npy").read_bytes() and link.is_symlink()


def test_the_sound_itself_is_not_overwritten(tmp_path):
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.3, seed=3))
    before = wav.read_bytes()
    (tmp_path / "link").symlink_to(wav)
    (tmp_path / "other.avi").hardlink_to(wav)
    for out in (wav, tmp_path / "link", tmp_path / "other.avi"):
        assert "the sound itself" in daemon.run("mel", "--audio", wav, "--out", out, expect=2).output
    said = daemon.run("synth", "--avatar", tmp_path, "--audio", wav, "--out", tmp_path / "other.avi", expect=2).output
    assert "the sound itself" in said and wav.read_bytes() == before
