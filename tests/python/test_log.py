"""The log of a running daemon: what is in it, what is not, and that the daemon does not depend on its reader."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time

import daemon
import grpc
import pytest
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


def test_a_template_cache_that_cannot_be_written(avatars, tmp_path):
    """Folder, key and remedy; the daemon serves all the same."""
    (tmp_path / "file").write_text("no folder")
    cache = tmp_path / "file/cache"
    with daemon.Daemon(avatars, LIPSYNCD_TEMPLATE_CACHE=str(cache), LIPSYNCD_PRELOAD="plain") as running:
        line = wait_for(running, "template_cache")
    assert "WARN" in line and str(cache) in line and "unset `template_cache`" in line


def test_a_cache_file_of_an_older_format_is_replaced_and_no_warning(avatars, tmp_path):
    folder, cache = tmp_path / "avatars", tmp_path / "cache"
    shutil.copytree(avatars / "plain", folder / "plain")
    settings = dict(LIPSYNCD_TEMPLATE_CACHE=str(cache), LIPSYNCD_PRELOAD="plain")
    with daemon.Daemon(folder, **settings) as running:
        assert not [line for line in running.log if "template_cache" in line]
    file, = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(b"LSTMPL02" + whole[8:])
    with daemon.Daemon(folder, **settings) as running:
        line = wait_for(running, "template_cache")
    assert "INFO" in line and str(file) in line and "made anew" in line
    assert file.read_bytes() == whole


def test_a_log_that_nobody_reads_holds_up_neither_calls_nor_the_end(avatars, tmp_path):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    settings = dict(LIPSYNCD_LISTEN="127.0.0.1:0", LIPSYNCD_AVATARS=str(avatars), LIPSYNCD_PRELOAD="single")
    process = subprocess.Popen([daemon.binary(), "serve"], stderr=writer, cwd=tmp_path,
                               env=daemon.environment(**settings))
    try:
        said = ""
        while not (found := re.search(r"listening on ([\d.:]+)\n", said)):
            said += os.read(reader, 4096).decode()
        # By a way of its own to the pipe, so that the daemon's stays one that waits.
        filling = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(filling, b"x")
        with grpc.insecure_channel(found[1]) as channel:
            stub = stubs.lipsync_grpc.LipSyncStub(channel)
            for _ in range(3):
                stub.UnloadAvatar(stubs.lipsync.UnloadAvatarRequest(avatar_id="single"), timeout=60)
                stub.LoadAvatar(stubs.lipsync.LoadAvatarRequest(avatar_id="single"), timeout=60)
            assert stub.GetStats(stubs.lipsync.GetStatsRequest(), timeout=60).avatars
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_closed_stderr_changes_no_exit_code(tmp_path, form):
    reader, writer = os.pipe()
    os.close(reader)
    settings = dict(LIPSYNCD_AVATARS=str(tmp_path / "none"), LIPSYNCD_LOG_FORMAT=form)
    for setting in ({}, {"LIPSYNCD_LOG": "loud"}):
        command = [daemon.binary(), "serve"]
        env = daemon.environment(**settings, **setting)
        done = subprocess.run(command, stderr=writer, cwd=tmp_path, env=env, timeout=60)
        assert done.returncode == 2
    done = subprocess.run([daemon.binary(), "avatar", "check", str(tmp_path / "none")], stdout=subprocess.DEVNULL,
                          stderr=writer, env=daemon.environment(), timeout=60)
    assert done.returncode == 2
    os.close(writer)
