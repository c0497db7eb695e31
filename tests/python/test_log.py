"""The log of a running daemon: what is in it, and what is not."""

import json
import time

import daemon
import stubs
import talk


def lines(running: daemon.Daemon) -> list[dict]:
    return [json.loads(line) for line in running.log]


def wait_for(running: daemon.Daemon, word: str) -> str:
    for _ in range(200):
        if found := [line for line in running.log if word in line]:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"{word} is not in the log:\n" + "".join(running.log))


def test_debug_tells_of_calls_and_not_of_every_http_2_frame(avatars, voice):
    with daemon.Daemon(avatars, LIPSYNCD_LOG="debug", LIPSYNCD_LOG_FORMAT="json") as running:
        frames = talk.synthesize(stubs.lipsync_grpc.LipSyncStub(running.channel), "single", talk.f32(voice))
        wait_for(running, "closed")
        said = lines(running)
    assert {line["target"].split("::")[0] for line in said} <= {"lipsyncd", "onnxruntime"}
    closed = next(line for line in said if line["message"] == "closed")
    assert closed["frames"] == len(frames) and closed["end"] == "done"


def test_the_documented_example_adds_the_begin_and_end_of_calls(avatars, voice):
    with daemon.Daemon(avatars, LIPSYNCD_LOG="info, lipsyncd::telemetry=debug", LIPSYNCD_LOG_FORMAT="json") as running:
        talk.synthesize(stubs.lipsync_grpc.LipSyncStub(running.channel), "single", talk.f32(voice))
        wait_for(running, "closed")
        said = [line["message"] for line in lines(running) if line["level"] == "DEBUG"]
    assert said == ["opened", "utterance done", "closed"]
