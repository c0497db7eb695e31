"""Runs the binary under test: one command to its end, or the daemon."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading

import grpc
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"listening on\D*([\d.]+:\d+)")
CHANNEL = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def binary() -> str:
    # Absolute: the daemon is started in another folder.
    return os.path.abspath(os.environ.get("LIPSYNCD_BIN", ROOT / "target/release/lipsyncd"))


def environment(**more: str) -> dict[str, str]:
    """Ours without any LIPSYNCD_* but the runtime and `more`."""
    wheel = pathlib.Path(onnxruntime.__file__).parent / f"capi/libonnxruntime.so.{onnxruntime.__version__}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LIPSYNCD_")}
    runtime = os.environ.get("LIPSYNCD_ONNXRUNTIME", str(wheel))
    return {**kept, "LIPSYNCD_ONNXRUNTIME": runtime, "NO_COLOR": "1", **more}


def run(*arguments, expect: int | None = 0, env: dict | None = None, timeout=120) -> subprocess.CompletedProcess:
    """One command; its exit code must be `expect`. `.output` is all it said."""
    done = subprocess.run([binary(), *map(str, arguments)], env=environment(**(env or {})),
                          capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    done.output = done.stdout + done.stderr
    if expect is not None:
        assert done.returncode == expect, f"exit code {done.returncode}, expected {expect}:\n{done.output}"
    return done


class Daemon:
    """`lipsyncd serve` on a free port; `with` it, or `stop` it."""

    def __init__(self, avatars, **env: str):
        # Without admission: what a busy machine measures is no reason to turn a test's calls away.
        settings = dict(LIPSYNCD_LISTEN="127.0.0.1:0", LIPSYNCD_AVATARS=str(avatars), LIPSYNCD_UTILISATION_PERCENT="0", **env)
        # Empty, so that no lipsyncd.toml lying about is read.
        self._folder = tempfile.TemporaryDirectory(prefix="lipsyncd-test-")
        self.process = subprocess.Popen(
            [binary(), "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=environment(**settings),
            cwd=self._folder.name,
        )
        self.log: list[str] = []
        self._bound = threading.Event()
        self.address = None
        threading.Thread(target=self._read_log, daemon=True).start()
        self._bound.wait(60)
        assert self.address, "the daemon did not say where it listens:\n" + "".join(self.log)
        self.channel = self.connect()

    def _read_log(self) -> None:
        for line in self.process.stderr:
            self.log.append(line)
            if self.address is None and (found := LISTENING.search(re.sub(r"\x1b\[[\d;]*m", "", line))):
                self.address = found[1]
                self._bound.set()
        self._bound.set()

    def connect(self) -> grpc.Channel:
        """A channel with a connection of its own."""
        return grpc.insecure_channel(self.address, [*CHANNEL, ("grpc.use_local_subchannel_pool", 1)])

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=60) -> int:
        return self.process.wait(timeout)

    def stop(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.terminate()
            try:
                self.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
        self._folder.cleanup()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_) -> None:
        self.stop()
