"""A daemon that has no descriptor left for a connection says so, rests meanwhile, and serves again once there are some. Of its own it keeps some."""

import contextlib
import os
import pathlib
import resource
import socket
import time

import daemon
import numpy as np
import stubs
import talk
from stubs import lipsync
from test_cluster import wait_for

# HTTP/2's preface and an empty SETTINGS: such a connection may be silent.
BEGINNING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
WARNING = "no connection can be accepted"


def seconds_of_cpu(pid: int) -> float:
    """What the process has taken of the processors."""
    after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def warnings(server: daemon.Daemon) -> list[str]:
    return [line for line in server.log if WARNING in line]


def connect(server: daemon.Daemon, connections: contextlib.ExitStack, count: int) -> None:
    """That many silent connections, which `connections` closes."""
    for _ in range(count):
        connection = connections.enter_context(socket.create_connection(server.address.split(":"), timeout=30))
        connection.sendall(BEGINNING)


@contextlib.contextmanager
def most_descriptors(most: int):
    """What is started meanwhile has no more."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_connections_leave_descriptors_for_avatars(avatars):
    with contextlib.ExitStack() as started, contextlib.ExitStack() as connections:
        with most_descriptors(200):
            server = started.enter_context(daemon.Daemon(avatars))
        client = stubs.lipsync_grpc.LipSyncStub(server.channel)
        client.GetStats(lipsync.GetStatsRequest(), timeout=30)
        connect(server, connections, 190)
        wait_for("the log says so", lambda: warnings(server))
        assert "150 are open" in warnings(server)[0]
        wait_for("those that may are open", lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) > 150)
        # It is loaded only now.
        assert len(talk.synthesize(client, "single", talk.f32(np.zeros(1280)))) == 2
        connections.close()
        with server.connect() as channel:
            fresh = stubs.lipsync_grpc.LipSyncStub(channel)
            assert len(talk.synthesize(fresh, "single", talk.f32(np.zeros(1280)))) == 2


def test_without_descriptors_it_rests_and_goes_on_after(avatars):
    with daemon.Daemon(avatars) as server, contextlib.ExitStack() as connections:
        client = stubs.lipsync_grpc.LipSyncStub(server.channel)
        # Whatever is opened once is open.
        talk.synthesize(client, "single", talk.f32(np.zeros(1280)))
        pid = server.process.pid
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 9, most))
        connect(server, connections, highest + 20)
        wait_for("the log says so", lambda: warnings(server))
        begun = seconds_of_cpu(pid)
        time.sleep(3)
        taken = seconds_of_cpu(pid) - begun
        assert taken < 0.3, f"it spent {taken} of 3 s on it"
        assert len(warnings(server)) < 5, "it says so each time"
        # Those who are connected do not notice.
        assert client.GetStats(lipsync.GetStatsRequest(), timeout=30).sessions == 0
        connections.close()
        with server.connect() as channel:
            fresh = stubs.lipsync_grpc.LipSyncStub(channel)
            assert len(talk.synthesize(fresh, "single", talk.f32(np.zeros(1280)))) == 2
