"""Bad input: a sentence that names the culprit, the right code, and the next
request served as if nothing had happened."""

import os
import shutil
import struct
import subprocess

import daemon
import faults
import grpc
import numpy as np
import pytest
import sounds
import talk
from stubs import lipsync, lipsync_grpc
from talk import refusal

Code = grpc.StatusCode
HOSTILE = {
    "empty": "", "parent": "../plain", "deep": "../../../../etc", "absolute": "/etc", "nul": "plain\0",
    "dot": ".", "dots": "..", "slash": "plain/", "space": "pl ain", "newline": "plain\nplain",
    "long": "a" * 65, "unicode": "plаin",
}


@pytest.fixture(autouse=True)
def the_next_request_is_served(request):
    """After each test, speech is still turned into the very same frames."""
    yield
    if "client" in request.fixturenames:
        client = request.getfixturevalue("client")
        assert len(talk.synthesize(client, "single", talk.f32(np.zeros(1280)))) == 2


# ---------------------------------------------------------------- sound

@pytest.mark.parametrize("name", sounds.bad_wavs())
def test_bad_wavs_on_the_command_line(name, avatars, tmp_path):
    file = tmp_path / f"{name}.wav"
    file.write_bytes(sounds.bad_wavs()[name])
    for command in (["mel", "--out", tmp_path / "o.npy"],
                    ["synth", "--avatar", avatars / "single", "--out", tmp_path / "frames"]):
        said = daemon.run(*command, "--audio", file, expect=2).output
        assert file.name in said and "panicked" not in said
    assert not (tmp_path / "o.npy").exists()


@pytest.mark.parametrize("name", sounds.bad_wavs())
def test_bad_wavs_over_grpc(name, client):
    refusal(lambda: talk.synthesize(client, "single", sounds.bad_wavs()[name], "WAV"), Code.INVALID_ARGUMENT)


def test_missing_files_on_the_command_line(avatars, tmp_path):
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.2))
    said = daemon.run("mel", "--audio", tmp_path / "no.wav", "--out", tmp_path / "o.npy", expect=2).output
    assert "no.wav" in said
    said = daemon.run("synth", "--avatar", tmp_path / "no", "--audio", wav, "--out", tmp_path / "o", expect=2).output
    assert str(tmp_path / "no") in said
    daemon.run("synth", "--avatar", avatars / "single", "--audio", wav, expect=2)
    daemon.run("synthesise", expect=2)
    for quality in ("0", "101", "fine"):
        said = daemon.run("synth", "--avatar", avatars / "single", "--audio", wav, "--out", tmp_path / "o",
                          "--quality", quality, expect=2).output
        assert "quality" in said


def test_what_a_daemon_refuses_on_the_command_line(server, avatars, tmp_path):
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.2))
    run = ("synth", "--audio", wav, "--out", tmp_path / "o", "--server")
    url = f"http://{server.address}"
    assert "nobody" in daemon.run(*run, url, "--avatar", "nobody", expect=2).output
    daemon.run(*run, url, "--avatar", "../plain", expect=2)
    for text in ("http://", "localhost:50053", "https://localhost", "http://a b", ""):
        assert "http://127.0.0.1:50053" in daemon.run(*run, text, "--avatar", "plain", expect=2).output
        assert "http://127.0.0.1:50053" in daemon.run("bench", "--target", text, expect=2).output
    # Longer than one message of this daemon's may be: so it is when it is sent again.
    with daemon.Daemon(avatars, LIPSYNCD_MAX_MESSAGE_BYTES="4096") as small:
        said = daemon.run(*run, f"http://{small.address}", "--avatar", "plain", expect=2).output
        assert "max_message_bytes" in said
    # Sound input, and nobody to do the work.
    daemon.run(*run, "http://127.0.0.1:9", "--avatar", "plain", expect=1)


def test_options_that_a_daemon_hears_nothing_of(tmp_path):
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.2))
    nobody = "http://127.0.0.1:9"
    synth = ("synth", "--audio", wav, "--out", tmp_path / "o", "--avatar", "plain", "--server", nobody)
    for option, value in {"slots": 2, "backend": "auto", "gpu": 1, "gpu-engine": "native", "jpeg": "splice", "plans": tmp_path,
                          "onnxruntime": "x.so", "picture-cache-mib": 1, "threads-per-slot": 1}.items():
        said = daemon.run(*synth, f"--{option}", value, expect=2).output
        assert f"--{option} is of no use with --server" in said
    # Variables are for other commands, too.
    env = {"LIPSYNCD_PLANS": str(tmp_path), "LIPSYNCD_TENSORRT": str(tmp_path)}
    daemon.run(*synth, "--quality", 80, "--start-position", 3, expect=1, env=env)
    for option, value in {"duty": 0.5, "audio-speed": 2}.items():
        bench = ("bench", "--target", nobody, f"--{option}", value)
        assert "--realtime" in daemon.run(*bench, expect=2).output
        daemon.run(*bench, "--realtime", expect=1)
        daemon.run(*bench, "--find-capacity", expect=1)


@pytest.mark.parametrize("command, code", [
    (["completions", "bash"], 0), (["doctor"], 0), (["avatar", "check", "--quick", "sound"], 0),
    (["avatar", "check", "--quick", "faulty"], 2), (["bench", "--target", "http://127.0.0.1:9"], 1),
])
def test_nobody_reads_stdout(command, code, avatars, tmp_path):
    """As when it is piped into `head`: what was wanted has been read."""
    faulty = tmp_path / "faulty"
    shutil.copytree(avatars / "plain", faulty)
    (faulty / "boxes.json").unlink()
    there = {"sound": str(avatars / "plain"), "faulty": str(faulty)}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([daemon.binary(), *(there.get(word, word) for word in command)], stdout=writer,
                          stderr=subprocess.PIPE, text=True, env=daemon.environment(), timeout=120)
    os.close(writer)
    assert done.returncode == code and "panicked" not in done.stderr, done.stderr


def test_a_full_disk_under_stdout():
    with open("/dev/full", "w") as full:
        done = subprocess.run([daemon.binary(), "completions", "bash"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "stdout" in done.stderr and "panicked" not in done.stderr


@pytest.mark.parametrize("audio, audio_format", [
    (b"", "F32LE"), (b"\0" * 4001, "F32LE"), (b"\0" * 4001, "S16LE"),
    (struct.pack("<f", float("nan")) * 3000, "F32LE"), (struct.pack("<f", float("-inf")) * 3000, "F32LE"),
], ids=["empty", "odd f32", "odd s16", "nan", "inf"])
def test_bad_pcm(audio, audio_format, client):
    refusal(lambda: talk.synthesize(client, "single", audio, audio_format), Code.INVALID_ARGUMENT)


def test_bad_fields(client):
    sound = talk.f32(np.zeros(3200))
    for field, value in (("sample_rate_hz", 2**32 - 1), ("jpeg_quality", 101), ("jpeg_quality", 2**32 - 1)):
        more = {field: value}
        said = refusal(lambda more=more: talk.synthesize(client, "single", sound, **more), Code.INVALID_ARGUMENT)
        assert field.removesuffix("_hz").replace("_", " ") in said.replace("_", " ")
    request = lipsync.SynthesizeRequest(avatar_id="single", audio=sound, audio_format=99)
    assert "audio_format" in refusal(lambda: client.Synthesize(request), Code.INVALID_ARGUMENT)


def test_the_largest_start_position(client):
    assert len(talk.synthesize(client, "single", talk.f32(np.zeros(3200)), start_position=2**64 - 1)) == 5


@pytest.mark.parametrize("requests, code", [
    ([talk.audio(b"\0" * 64)], Code.FAILED_PRECONDITION),
    ([talk.end()], Code.FAILED_PRECONDITION),
    ([talk.interrupt()], Code.FAILED_PRECONDITION),
    ([lipsync.ConverseRequest()], None),
    ([talk.start("single"), talk.start("single")], Code.FAILED_PRECONDITION),
    ([talk.start("single"), lipsync.ConverseRequest()], None),
    ([talk.start("single"), talk.audio(b"\0" * 63)], Code.INVALID_ARGUMENT),
    ([talk.start("single", "S16LE"), talk.audio(b"\0" * 63)], Code.INVALID_ARGUMENT),
    ([talk.start("single"), talk.audio(struct.pack("<f", float("nan")))], Code.INVALID_ARGUMENT),
    ([talk.start("single", "WAV")], Code.INVALID_ARGUMENT),
    ([talk.start("single", "UNSPECIFIED")], Code.INVALID_ARGUMENT),
    ([talk.start("single", jpeg_quality=101)], Code.INVALID_ARGUMENT),
    ([talk.start("single", sample_rate_hz=2**31)], Code.INVALID_ARGUMENT),
    ([talk.start("nobody")], Code.NOT_FOUND),
], ids=["audio first", "end first", "interrupt first", "nothing first", "start twice", "empty message", "odd f32",
        "odd s16", "nan", "wav", "no format", "quality", "rate", "unknown avatar"])
def test_bad_conversations(requests, code, client):
    codes = [code] if code else [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT]
    refusal(lambda: talk.converse(client, *requests), *codes)


def test_a_call_without_a_word(client):
    """Closing before `start`: an empty answer or a sentence, never a hang."""
    try:
        assert talk.converse(client) == []
    except grpc.RpcError as error:
        assert error.code() in (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION)


# ---------------------------------------------------------------- names

@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name, client):
    avatar = HOSTILE[name]
    sound = talk.f32(np.zeros(640))
    codes = (Code.INVALID_ARGUMENT, Code.NOT_FOUND)
    for call in (lambda: talk.synthesize(client, avatar, sound),
                 lambda: talk.converse(client, talk.start(avatar)),
                 lambda: client.GetAvatar(lipsync.GetAvatarRequest(avatar_id=avatar)),
                 lambda: client.LoadAvatar(lipsync.LoadAvatarRequest(avatar_id=avatar)),
                 lambda: client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id=avatar))):
        said = refusal(call, *codes)
        assert "\0" not in said and "\n" not in said


def test_a_name_of_10_megabytes(client):
    request = lipsync.GetAvatarRequest(avatar_id="a" * 10_000_000)
    refusal(lambda: client.GetAvatar(request), Code.INVALID_ARGUMENT, Code.NOT_FOUND,
            Code.RESOURCE_EXHAUSTED, Code.OUT_OF_RANGE)


def test_unknown_names_are_named(client):
    assert "nobody" in refusal(lambda: talk.synthesize(client, "nobody", talk.f32(np.zeros(640))), Code.NOT_FOUND)


@pytest.mark.parametrize("path", ["/lipsync.v1.LipSync/Sing", "/nobody.Service/Sing"])
def test_a_call_that_there_is_not_is_told_which_services_there_are(server, path):
    call = server.channel.unary_unary(path)
    assert "lipsync.v1.LipSync" in refusal(lambda: call(b"", timeout=60), Code.UNIMPLEMENTED)


# ---------------------------------------------------------------- bundles

def test_faulty_bundles_are_refused_and_the_sound_one_served(avatars, tmp_path):
    names = {name.replace(" ", "-"): name for name in faults.FAULTS}
    for folder, name in names.items():
        faults.spoil(avatars / "plain", tmp_path / "avatars" / folder, name)
    shutil.copytree(avatars / "single", tmp_path / "avatars/single")
    (tmp_path / "avatars/a file.txt").write_text("no bundle")
    with daemon.Daemon(tmp_path / "avatars") as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        listed = {a.avatar_id: a for a in client.ListAvatars(lipsync.ListAvatarsRequest()).avatars}
        for folder, name in names.items():
            _, file, _ = faults.FAULTS[name]
            # A folder without a manifest is no bundle, and may be unknown.
            codes = [Code.FAILED_PRECONDITION] + [Code.NOT_FOUND] * (name == "no manifest")
            said = refusal(lambda at=folder: talk.synthesize(client, at, talk.f32(np.zeros(640))), *codes)
            if name != "no manifest":
                assert file in said, name
                assert any(file in fault for fault in listed[folder].faults), name
            loading = lipsync.LoadAvatarRequest(avatar_id=folder)
            refusal(lambda request=loading: client.LoadAvatar(request), *codes)
        assert not listed["single"].faults
        assert len(talk.synthesize(client, "single", talk.f32(np.zeros(1280)))) == 2


def test_a_long_list_of_faults_reaches_the_client(avatars, voice, tmp_path):
    bundle = tmp_path / "avatars/broken"
    shutil.copytree(avatars / "plain", bundle)
    outside = tmp_path / "outside.jpg"
    shutil.copy(faults.frame(bundle, 0), outside)
    shutil.rmtree(bundle / "frames")
    (bundle / "frames").mkdir()
    for at in range(600):
        (bundle / f"frames/{at:06}.jpg").symlink_to(outside)
    manifest = bundle / "avatar.toml"
    manifest.write_text("".join(f"no_such_key_{at} = 1\n" for at in range(600)) + manifest.read_text())
    with daemon.Daemon(tmp_path / "avatars") as running:
        client = lipsync_grpc.LipSyncStub(running.channel)
        with pytest.raises(grpc.RpcError) as failure:
            talk.synthesize(client, "broken", talk.f32(voice[:800]))
    assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "no_such_key_0" in failure.value.details() and len(failure.value.details()) < 4000
