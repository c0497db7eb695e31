"""HAProxy in front of daemons, with the configuration that `deploy/` ships."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time

from daemon import ROOT

# Debian puts it where users' PATH does not look.
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def configuration(front: str, daemons: list[str]) -> str:
    """deploy/haproxy.cfg with these addresses in place of its own, and nothing else changed."""
    text = (ROOT / "deploy/haproxy.cfg").read_text()
    text, binds = re.subn(r"(?m)^( +bind) \S+", rf"\1 {front}", text)
    servers = iter(daemons)
    text, found = re.subn(r"(?m)^( +server \w+) \S+", lambda match: f"{match[1]} {next(servers)}", text)
    assert (binds, found) == (1, len(daemons)), "deploy/haproxy.cfg has other lines than this test expects"
    return text


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Front:
    """`with` it, and HAProxy listens at `.address`."""

    def __init__(self, daemons: list[str], folder):
        self.address = f"127.0.0.1:{free_port()}"
        path = folder / "haproxy.cfg"
        path.write_text(configuration(self.address, daemons))
        self.process = subprocess.Popen([HAPROXY, "-db", "-f", str(path)], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log: list[str] = []
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stdout))
        self._reader.start()
        self._wait_for_port()

    def _wait_for_port(self) -> None:
        host, port = self.address.split(":")
        for _ in range(1000):
            assert self.process.poll() is None, f"haproxy ended: {self.log}"
            try:
                return socket.create_connection((host, int(port)), timeout=5).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
        raise AssertionError("haproxy does not listen")

    def __enter__(self) -> Front:
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(30)
