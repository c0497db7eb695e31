"""Clients that leave, sleep or are too many, and the daemon's own end: nobody else notices."""

import time

import daemon
import grpc
import numpy as np
import sounds
import talk
from stubs import lipsync, lipsync_grpc
from talk import refusal

Code = grpc.StatusCode


# ---------------------------------------------------------------- clients

def test_clients_that_leave(client, voice):
    long = talk.f32(sounds.speech(20, seed=5))
    expected = talk.synthesize(client, "plain", talk.f32(voice))
    for _ in range(10):
        call = client.Synthesize(lipsync.SynthesizeRequest(
            avatar_id="plain", audio=long, audio_format="AUDIO_FORMAT_F32LE"))
        next(call)
        call.cancel()
        talker = talk.Conversation(client, talk.start("plain"), talk.audio(long))
        talker.until("frame")
        talker.call.cancel()
        talker.close()
    assert talk.synthesize(client, "plain", talk.f32(voice)) == expected
    deadline = time.time() + 20
    while client.GetStats(lipsync.GetStatsRequest()).sessions and time.time() < deadline:
        time.sleep(0.1)
    assert client.GetStats(lipsync.GetStatsRequest()).sessions == 0


def test_clients_that_never_read(server, client, voice):
    """Their frames wait for them; nobody else waits."""
    long = talk.f32(sounds.speech(60, seed=6))
    expected = talk.synthesize(client, "plain", talk.f32(voice))
    with server.connect() as sleepy:
        stub = type(client)(sleepy)
        asleep = [stub.Synthesize(lipsync.SynthesizeRequest(
            avatar_id="plain", audio=long, audio_format="AUDIO_FORMAT_F32LE")) for _ in range(3)]
        talker = talk.Conversation(stub, talk.start("plain"), *talk.cut(long, [16000]))
        for _ in range(3):
            assert talk.synthesize(client, "plain", talk.f32(voice)) == expected
        for call in asleep:
            call.cancel()
        talker.call.cancel()
        talker.close()


def test_one_session_too_many(avatars):
    with daemon.Daemon(avatars, LIPSYNCD_MAX_SESSIONS="2") as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        talkers = [talk.Conversation(client, talk.start("single")) for _ in range(2)]
        for talker in talkers:
            talker.until("started")
        sound = talk.f32(np.zeros(1280))
        refusal(lambda: talk.synthesize(client, "single", sound), Code.RESOURCE_EXHAUSTED)
        talkers[0].close()
        assert list(talkers[0].call) == []
        # The place is free once the daemon has seen the call's end.
        while client.GetStats(lipsync.GetStatsRequest()).sessions > 1:
            time.sleep(0.05)
        assert len(talk.synthesize(client, "single", sound)) == 2
        talkers[1].close()


def test_a_message_too_large(avatars):
    with daemon.Daemon(avatars, LIPSYNCD_MAX_MESSAGE_BYTES="100000") as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        refusal(lambda: talk.synthesize(client, "single", bytes(200_000)), Code.OUT_OF_RANGE, Code.RESOURCE_EXHAUSTED)
        assert len(talk.synthesize(client, "single", talk.f32(np.zeros(1280)))) == 2


# ---------------------------------------------------------------- the end

def test_sigterm_drains(avatars):
    sound = sounds.speech(6, seed=7)
    with daemon.Daemon(avatars) as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        expected = talk.synthesize(client, "plain", talk.f32(sound))
        call = client.Synthesize(lipsync.SynthesizeRequest(
            avatar_id="plain", audio=talk.f32(sound), audio_format="AUDIO_FORMAT_F32LE"))
        got = [next(call).frame]
        running.terminate()
        got += [answer.frame for answer in call]
        assert got == expected
        assert running.wait() == 0


def test_sigterm_does_not_wait_for_ever(avatars):
    """A client that never reads is cut off, and a new one refused."""
    with daemon.Daemon(avatars, LIPSYNCD_DRAIN_SECONDS="1") as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        asleep = client.Synthesize(lipsync.SynthesizeRequest(
            avatar_id="plain", audio=talk.f32(sounds.speech(40, seed=8)), audio_format="AUDIO_FORMAT_F32LE"))
        next(asleep)
        talker = talk.Conversation(client, talk.start("plain"))
        talker.until("started")
        running.terminate()
        refusal(lambda: talker.call, Code.UNAVAILABLE)
        talker.close()
        assert running.wait() == 0


def test_sigterm_without_work(avatars):
    with daemon.Daemon(avatars) as running:
        running.terminate()
        assert running.wait() == 0
