"""Bundles, one daemon for the whole run, and clients for it."""

from __future__ import annotations

import os
import sys

import daemon
import pytest

sys.path.insert(0, str(daemon.ROOT / "engines/networks"))

import reference  # noqa: E402
import sounds  # noqa: E402
import standin  # noqa: E402
import stubs  # noqa: E402

# Each differs from the rest in everything a bundle is free to choose.
BUNDLES = {
    "plain": dict(seed=3, frame_size=(640, 360), box_sizes=(150, 200)),
    "odd": dict(seed=11, frame_size=(333, 251), n_frames=4, box_sizes=(97, 131), fmt="png", order="loop",
                batch="1-baked", first=7, digits=3, mask=(20, 31, 200, 150),
                generator_names=("visual_input", "audio_input", "o"), encoder_names=("mel_spectrogram", "emb"),
                audio_first=True),
    "large-box": dict(seed=14, frame_size=(720, 810), n_frames=2, box_sizes=(400, 700), channels="rgb",
                      border=0, resize="bilinear", batch="1", digits=1, first=1),
    "single": dict(seed=15, frame_size=(171, 64), n_frames=1, box_sizes=(40, 40), fmt="png"),
    "close-up": dict(seed=16, frame_size=(171, 150), n_frames=2, box_sizes=(140, 140), fmt="png"),
}


def pytest_configure(config):
    # librosa's word on sounds shorter than its window, which are tested on purpose.
    config.addinivalue_line("filterwarnings", "ignore:n_fft=800 is too large")


def pytest_sessionstart(session):
    if not os.access(daemon.binary(), os.X_OK):
        pytest.exit(f"{daemon.binary()} is not there; build it, or set LIPSYNCD_BIN", returncode=2)


@pytest.fixture(scope="session")
def avatars(tmp_path_factory):
    """A folder of sound bundles, `BUNDLES`."""
    folder = tmp_path_factory.mktemp("avatars")
    for name, options in BUNDLES.items():
        standin.make_bundle(folder / name, **options)
    return folder


@pytest.fixture(scope="session")
def judge(avatars):
    """`judge("plain")`: that bundle as the reference sees it."""
    loaded = {}

    def load(name: str) -> reference.Avatar:
        if name not in loaded:
            loaded[name] = reference.Avatar.load(avatars / name, threads=1)
        return loaded[name]

    return load


@pytest.fixture(scope="session")
def server(avatars):
    with daemon.Daemon(avatars) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    """A stub of `lipsync.v1.LipSync`."""
    return stubs.lipsync_grpc.LipSyncStub(server.channel)


@pytest.fixture(scope="session")
def old_client(server):
    """A stub of `monolithic.MonolithicService`."""
    return stubs.monolithic_grpc.MonolithicServiceStub(server.channel)


@pytest.fixture(scope="session")
def voice():
    """1.3 s and a few samples of speech at 16 kHz: 33 frames."""
    return sounds.speech(1.3, seed=1)[: 16000 + 4803]
