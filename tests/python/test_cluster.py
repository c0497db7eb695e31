"""Two daemons behind a real HAProxy: one is killed under load, or drained, and viewers go on."""

import queue
import threading
import time

import daemon
import front
import grpc
import numpy as np
import pytest
import sounds
import stubs
import talk
from stubs import lipsync

pytestmark = pytest.mark.skipif(front.HAPROXY is None, reason="haproxy is not installed: apt-get install haproxy")

RATE = 16000
PER_FRAME = RATE // 25
CHUNK = RATE // 25
AVATAR = "single"
STREAMS = 6
# HAProxy ends the calls of a server that died with RST_STREAM(CANCEL), which gRPC reports as CANCELLED.
BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Viewer:
    """One live stream at the pace of speech, on a connection of its own, read by a thread."""

    def __init__(self, address: str, sound: np.ndarray, start: int = 0):
        self.sound = sound
        self.frames: list = []
        self.error: grpc.RpcError | None = None
        self.done = None
        self.channel = grpc.insecure_channel(address, [*daemon.CHANNEL, ("grpc.use_local_subchannel_pool", 1)])
        self._said: queue.Queue = queue.Queue()
        self._said.put(talk.start(AVATAR, start_position=start))
        stub = stubs.lipsync_grpc.LipSyncStub(self.channel)
        self._call = stub.Converse(iter(self._said.get, talk.DONE), timeout=60)
        self.started = threading.Event()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._speak)]
        self._threads[0].start()

    def _read(self) -> None:
        try:
            for answer in self._call:
                kind = answer.WhichOneof("message")
                if kind == "started":
                    self.started.set()
                elif kind == "frame":
                    self.frames.append(answer.frame)
                elif kind == "utterance_done":
                    self.done = answer.utterance_done
        except grpc.RpcError as error:
            self.error = error
        self._ended.set()
        self.started.set()

    def open(self) -> "Viewer":
        assert self.started.wait(30) and self.error is None, self.error
        return self

    def speak(self) -> None:
        self._threads[1].start()

    def _speak(self) -> None:
        begun = time.monotonic()
        for at in range(0, len(self.sound), CHUNK):
            if self._ended.wait(max(0.0, begun + at / RATE - time.monotonic())):
                break
            self._said.put(talk.audio(talk.f32(self.sound[at : at + CHUNK])))
        self._said.put(talk.end())
        self._said.put(talk.DONE)

    def join(self) -> "Viewer":
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)
                assert not thread.is_alive(), "the call hangs"
        self.channel.close()
        return self

    def close(self) -> None:
        self._call.cancel()
        self._said.put(talk.DONE)
        self.join()


def wait_for(what: str, condition) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


def sessions(server: daemon.Daemon) -> int:
    return stubs.lipsync_grpc.LipSyncStub(server.channel).GetStats(lipsync.GetStatsRequest(), timeout=30).sessions


def offline(server: daemon.Daemon, sound: np.ndarray, start: int = 0) -> list[bytes]:
    """The frames of that sound by itself, from a daemon directly."""
    client = stubs.lipsync_grpc.LipSyncStub(server.channel)
    return [frame.jpeg for frame in talk.synthesize(client, AVATAR, talk.f32(sound), start_position=start)]


def jpegs(viewer: Viewer) -> list[bytes]:
    return [frame.jpeg for frame in viewer.frames]


def connect(address: str, sound: np.ndarray, start: int = 0) -> Viewer:
    """A call through the front, tried again while that knows nobody, or only the dead one."""
    for _ in range(100):
        viewer = Viewer(address, sound, start)
        if viewer.started.wait(30) and viewer.error is None:
            return viewer
        assert viewer.join().error.code() in BROKEN, viewer.error
        time.sleep(0.05)
    raise AssertionError("the front never found the other daemon")


def resume(address: str, cut: Viewer) -> Viewer:
    """Goes on where the frames stopped, through the same front, as docs/protocol.md says."""
    seen = len(cut.frames)
    return connect(address, cut.sound[seen * PER_FRAME :], start=seen)


@pytest.fixture
def cluster(avatars, tmp_path):
    """Two daemons, the front, and viewers by the daemon they are on."""
    with daemon.Daemon(avatars) as a, daemon.Daemon(avatars) as b, front.Front([a.address, b.address], tmp_path) as proxy:
        for server in (a, b):
            client = stubs.lipsync_grpc.LipSyncStub(server.channel)
            client.LoadAvatar(lipsync.LoadAvatarRequest(avatar_id=AVATAR), timeout=60)
        viewers = {a: [], b: []}
        for number in range(STREAMS):
            viewer = Viewer(proxy.address, sounds.speech(3.2, seed=100 + number)[: 3 * RATE + 77 * number])
            viewer.open()
            wait_for("the session is on one of them", lambda: sessions(a) + sessions(b) == number + 1)
            home = a if sessions(a) > len(viewers[a]) else b
            viewers[home].append(viewer)
        assert len(viewers[a]) == len(viewers[b]) == STREAMS // 2, "the front does not spread the calls"
        yield a, b, proxy, viewers
        for viewer in viewers[a] + viewers[b]:
            viewer.close()


def test_one_daemon_is_killed_and_viewers_go_on(cluster):
    a, b, proxy, viewers = cluster
    expected = {viewer: offline(b, viewer.sound) for viewer in viewers[a] + viewers[b]}
    for viewer in expected:
        viewer.speak()
    wait_for("every stream has frames", lambda: all(len(viewer.frames) >= 10 for viewer in expected))
    a.process.kill()
    for viewer in viewers[a]:
        viewer.join()
        assert viewer.error is not None, "its daemon was killed in the middle of speech"
        assert viewer.error.code() in BROKEN, viewer.error
        assert 10 <= len(viewer.frames) < len(expected[viewer])
        assert jpegs(viewer) == expected[viewer][: len(viewer.frames)]
    resumed = [(viewer, resume(proxy.address, viewer)) for viewer in viewers[a]]
    for _, viewer in resumed:
        viewer.speak()
    for viewer in viewers[b]:
        viewer.join()
        assert viewer.error is None, "a stream of the other daemon noticed"
        assert jpegs(viewer) == expected[viewer]
        assert [frame.index for frame in viewer.frames] == list(range(len(viewer.frames)))
    for cut, viewer in resumed:
        viewer.join()
        assert viewer.error is None
        assert jpegs(viewer) == offline(b, viewer.sound, start=len(cut.frames))
        assert len(cut.frames) + len(viewer.frames) == len(expected[cut])


def test_a_drained_daemon_finishes_what_it_has_and_gets_nothing_new(cluster):
    a, b, proxy, viewers = cluster
    expected = {viewer: offline(b, viewer.sound) for viewer in viewers[a] + viewers[b]}
    for viewer in expected:
        viewer.speak()
    wait_for("every stream has frames", lambda: all(viewer.frames for viewer in expected))
    a.terminate()
    late = connect(proxy.address, sounds.speech(0.4, seed=9))
    late.speak()
    for viewer in expected:
        viewer.join()
        assert jpegs(viewer) == expected[viewer], f"{len(viewer.frames)} of {len(expected[viewer])}: {viewer.error}"
        assert viewer.done is not None, viewer.error
        assert viewer.done.frames == len(expected[viewer])
    assert a.wait() == 0
    late.join()
    assert late.error is None
    assert jpegs(late) == offline(b, late.sound)
