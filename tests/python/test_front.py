"""What clients of a daemon behind a real HAProxy are told when it ends their calls, while they could still speak."""

import daemon
import front
import grpc
import pytest
import stubs
import talk
from stubs import lipsync

pytestmark = pytest.mark.skipif(front.HAPROXY is None, reason="haproxy is not installed: apt-get install haproxy")

AVATAR = "single"
CALLS = 20


@pytest.fixture
def fronted(avatars, tmp_path):
    """A daemon with one place, and a client of it through the front."""
    with daemon.Daemon(avatars, LIPSYNCD_MAX_SESSIONS="1") as server, front.Front([server.address] * 2, tmp_path) as proxy:
        with grpc.insecure_channel(proxy.address, daemon.CHANNEL) as channel:
            yield server, stubs.lipsync_grpc.LipSyncStub(channel)


def ending(talking: talk.Conversation) -> grpc.RpcError:
    """How the call ends; its client's side is open till then."""
    with pytest.raises(grpc.RpcError) as failure:
        list(talking.call)
    talking.close()
    return failure.value


def test_a_refusal_says_why_and_when_to_come_again(fronted):
    server, client = fronted
    held = talk.Conversation(stubs.lipsync_grpc.LipSyncStub(server.channel), talk.start(AVATAR))
    held.until("started")
    calls = [talk.Conversation(client, talk.start(AVATAR)) for _ in range(CALLS)]
    for refused in map(ending, calls):
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, refused
        assert "max_sessions" in refused.details()
        assert b"google.rpc.RetryInfo" in dict(refused.trailing_metadata())["grpc-status-details-bin"]
    held.close()
    assert list(held.call) == []


def test_a_message_that_cannot_be_says_why(fronted):
    server, client = fronted
    direct = stubs.lipsync_grpc.LipSyncStub(server.channel)
    for _ in range(CALLS):
        talking = talk.Conversation(client, talk.start(AVATAR))
        talking.until("started")
        talking.send(talk.start(AVATAR))
        failure = ending(talking)
        assert failure.code() == grpc.StatusCode.FAILED_PRECONDITION, failure
        # What its client might still have said keeps nothing.
        assert direct.GetStats(lipsync.GetStatsRequest(), timeout=30).sessions == 0


def test_a_stop_says_so(fronted):
    server, client = fronted
    talking = talk.Conversation(client, talk.start(AVATAR))
    talking.until("started")
    server.terminate()
    stopped = ending(talking)
    assert stopped.code() == grpc.StatusCode.UNAVAILABLE, stopped
    assert "stop" in stopped.details()
    assert server.wait() == 0
