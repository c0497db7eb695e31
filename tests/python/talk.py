"""Clients of `lipsync.v1` as the tests need them."""

from __future__ import annotations

import queue

import grpc
import numpy as np
import pytest
from stubs import lipsync

DONE = object()


def f32(samples: np.ndarray) -> bytes:
    return np.asarray(samples, "<f4").tobytes()


def synthesize(client, avatar: str, audio: bytes, audio_format="F32LE", **fields) -> list:
    """Every frame of the answer."""
    request = lipsync.SynthesizeRequest(
        avatar_id=avatar, audio=audio, audio_format=f"AUDIO_FORMAT_{audio_format}", **fields)
    return [answer.frame for answer in client.Synthesize(request, timeout=60)]


def start(avatar: str, audio_format="F32LE", **fields):
    message = lipsync.Start(avatar_id=avatar, audio_format=f"AUDIO_FORMAT_{audio_format}", **fields)
    return lipsync.ConverseRequest(start=message)


def audio(data: bytes):
    return lipsync.ConverseRequest(audio=data)


def end():
    return lipsync.ConverseRequest(end_utterance=lipsync.EndUtterance())


def interrupt():
    return lipsync.ConverseRequest(interrupt=lipsync.Interrupt())


def cut(data: bytes, sizes, width=4):
    """`data` as audio messages of so many samples each, sizes repeated over."""
    at, turn = 0, 0
    while at < len(data):
        step = int(sizes[turn % len(sizes)]) * width
        yield audio(data[at : at + step])
        at, turn = at + step, turn + 1


def converse(client, *requests) -> list:
    """Sends all, closes, and returns every answer."""
    return list(client.Converse(iter(requests), timeout=60))


class Conversation:
    """A call whose messages are sent one by one, when the test wants to."""

    def __init__(self, client, *requests):
        self._queue: queue.Queue = queue.Queue()
        self.call = client.Converse(iter(self._queue.get, DONE), timeout=60)
        self.send(*requests)

    def send(self, *requests) -> None:
        for request in requests:
            self._queue.put(request)

    def close(self) -> None:
        self._queue.put(DONE)

    def until(self, kind: str) -> list:
        """Answers up to and with the first of that kind."""
        answers = []
        for answer in self.call:
            answers.append(answer)
            if answer.WhichOneof("message") == kind:
                return answers
        raise AssertionError(f"the call ended without {kind}")


def frames(answers) -> list:
    return [a.frame for a in answers if a.WhichOneof("message") == "frame"]


def kinds(answers) -> list[str]:
    return [a.WhichOneof("message") for a in answers]


def refusal(call, *codes: grpc.StatusCode) -> str:
    """The call must fail with one of the codes; its sentence, not too long."""
    with pytest.raises(grpc.RpcError) as failure:
        answer = call()
        if not hasattr(answer, "DESCRIPTOR"):
            list(answer)
    said = failure.value.details()
    assert failure.value.code() in codes, f"{failure.value.code()}: {said}"
    assert 10 < len(said) < 1000
    return said
