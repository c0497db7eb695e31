"""Settings that cannot be: `serve` does not start, and says in a sentence which one and why."""

import json
import os
import resource
import shutil
import subprocess

import daemon
import pytest
import sounds


@pytest.mark.parametrize("key, value", [
    ("LIPSYNCD_JPEG_QUALITY", "900"), ("LIPSYNCD_LISTEN", "nowhere"), ("LIPSYNCD_BACKEND", "tpu"),
    ("LIPSYNCD_MAX_BATCH", "-3"), ("LIPSYNCD_SLOTS", "many"), ("LIPSYNCD_LOG_FORMAT", "xml"),
    ("LIPSYNCD_MAX_MESSAGE_BYTES", "1 GB or so"),
])
def test_bad_values_in_the_environment(key, value, avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", key: value}
    said = daemon.run("serve", expect=2, env=env, timeout=20).output
    assert key.removeprefix("LIPSYNCD_").lower() in said.lower()


@pytest.mark.parametrize("line, words", [
    ("jpeg_qualty = 80", ["jpeg_qualty", "jpeg_quality"]),
    ("listn = '127.0.0.1:0'", ["listn", "listen"]),
    ("jpeg_quality = 'good'", ["jpeg_quality"]),
    ("jpeg_quality = 0", ["jpeg_quality"]),
    ("jpeg_quality = = 3", ["lipsyncd.toml"]),
    ("avatars = 3", ["avatars"]),
])
def test_bad_lines_in_the_file(line, words, avatars, tmp_path):
    config = tmp_path / "lipsyncd.toml"
    config.write_text(line + "\n")
    env = {"LIPSYNCD_LISTEN": "127.0.0.1:0"}
    if "avatars" not in line:
        env["LIPSYNCD_AVATARS"] = str(avatars)
    if "listn" in line:
        del env["LIPSYNCD_LISTEN"]
    said = daemon.run("serve", "--config", config, expect=2, env=env, timeout=20).output
    for word in words:
        assert word in said


def test_unknown_variables_are_named(avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", "LIPSYNCD_JPEG_QUALTY": "70"}
    said = daemon.run("serve", expect=2, env=env, timeout=20).output.lower()
    assert "jpeg_qualty" in said and "jpeg_quality" in said


@pytest.mark.parametrize("variable, key", [
    ("LOGS", "LOG"), ("LOG_LEVEL", "LOG"), ("GPU", "GPUS"), ("JPG", "JPEG"), ("DRAIN", "DRAIN_SECONDS"),
    ("THREADS", "THREADS_PER_SLOT"), ("LISTEN_ADDR", "LISTEN"),
])
def test_variables_like_a_key_name_it(variable, key, avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", f"LIPSYNCD_{variable}": "1"}
    assert f"did you mean LIPSYNCD_{key}?" in daemon.run("serve", expect=2, env=env, timeout=20).output


def test_what_kubernetes_makes_of_a_service_called_lipsyncd_is_no_slip(avatars):
    """The same of what is nobody's, which the log names."""
    url = "tcp://10.0.0.11:50053"
    links = {"SERVICE_HOST": "10.0.0.11", "SERVICE_PORT": "50053", "SERVICE_PORT_GRPC": "50053", "PORT": url,
             "PORT_50053_TCP": url, "PORT_50053_TCP_PROTO": "tcp", "PORT_50053_TCP_PORT": "50053",
             "PORT_50053_TCP_ADDR": "10.0.0.11"}
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_PRELOAD": "nobody", "LIPSYNCD_REPLICAS": "2",
           **{f"LIPSYNCD_{name}": value for name, value in links.items()}}
    said = daemon.run("serve", expect=2, env=env, timeout=20).output
    assert "nobody" in said and "LIPSYNCD_REPLICAS is no key" in said
    assert "LIPSYNCD_SERVICE" not in said and "LIPSYNCD_PORT" not in said


@pytest.mark.parametrize("key, value, advice", [
    ("GPUS", "[0, 1]", "such as 0,1"), ("PRELOAD", '["demo"]', "such as demo,anna"), ("AVATARS", "", "a path, or unset it"),
])
def test_advice_about_a_variable_can_be_followed(key, value, advice, avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", f"LIPSYNCD_{key}": value}
    assert advice in daemon.run("serve", expect=2, env=env, timeout=20).output


def test_a_path_that_is_not_utf_8(avatars, tmp_path):
    folder = os.fsencode(tmp_path) + b"/av\xe9"
    os.symlink(avatars, folder)
    env = {**daemon.environment(LIPSYNCD_PRELOAD="nobody"), "LIPSYNCD_AVATARS": os.fsdecode(folder)}
    done = subprocess.run([daemon.binary(), "serve"], env=env, capture_output=True, timeout=60)
    assert done.returncode == 2 and b"nobody" in done.stderr, done.stderr


@pytest.mark.parametrize("log, level", [("warning", "warn"), ("info,warning", "warn"), ("Information", "info")])
def test_a_slip_in_the_level_does_not_silence_the_log(log, level, avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", "LIPSYNCD_LOG": log}
    assert f'write "{level}"' in daemon.run("serve", expect=2, env=env, timeout=20).output


@pytest.mark.parametrize("settings, word", [
    ({"LIPSYNCD_PRELOAD": "broken"}, "broken"), ({"LIPSYNCD_PRELOAD": "nobody", "LIPSYNCD_LOG": "off"}, "`preload`"),
    ({"LIPSYNCD_SLOTS": "many"}, "LIPSYNCD_SLOTS"), ({"LIPSYNCD_LOGS": "info"}, "LIPSYNCD_LOG?"),
    ({"LIPSYNCD_LOG": "warning"}, "warn"), ({"LIPSYNCD_AVATARS": "/nowhere"}, "/nowhere"),
])
def test_what_ends_the_daemon_is_json_where_its_log_is(settings, word, avatars, tmp_path):
    shutil.copytree(avatars / "single", tmp_path / "broken")
    (tmp_path / "broken/boxes.json").unlink()
    env = {"LIPSYNCD_AVATARS": str(tmp_path), "LIPSYNCD_LISTEN": "127.0.0.1:0", "LIPSYNCD_LOG_FORMAT": "json", **settings}
    lines = [json.loads(line) for line in daemon.run("serve", expect=2, env=env, timeout=60).stderr.splitlines()]
    assert lines[-1]["level"] == "ERROR" and word in lines[-1]["message"], lines[-1]


def test_where_libraries_are_is_no_slip(avatars):
    """`serve` goes on to the preload, and is stopped by that alone."""
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_NVJPEG": "/usr/lib", "LIPSYNCD_PRELOAD": "nobody"}
    assert "nobody" in daemon.run("serve", expect=2, env=env, timeout=20).output


def test_a_config_file_that_is_not_there(tmp_path):
    assert "no.toml" in daemon.run("serve", "--config", tmp_path / "no.toml", expect=2, timeout=20).output


def test_an_avatars_folder_that_is_not_there(tmp_path):
    env = {"LIPSYNCD_AVATARS": str(tmp_path / "nowhere"), "LIPSYNCD_LISTEN": "127.0.0.1:0"}
    assert "nowhere" in daemon.run("serve", expect=2, env=env, timeout=20).output


def test_a_preload_that_is_not_there(avatars):
    env = {"LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_LISTEN": "127.0.0.1:0", "LIPSYNCD_PRELOAD": "nobody"}
    said = daemon.run("serve", expect=2, env=env, timeout=20).output
    # No daemon runs that would list what there is.
    assert "nobody" in said and str(avatars) in said and "`preload`" in said and "ListAvatars" not in said


def test_a_runtime_that_is_not_there(avatars, tmp_path):
    """One clear sentence with the fix, and the exit code after which the unit does not start it again."""
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.2))
    env = {"LIPSYNCD_ONNXRUNTIME": str(tmp_path / "no.so"), "LIPSYNCD_AVATARS": str(avatars), "LIPSYNCD_BACKEND": "cpu"}
    synth = ["synth", "--avatar", avatars / "single", "--audio", wav, "--out", tmp_path / "o"]
    for command in (["serve"], synth):
        said = daemon.run(*command, expect=2, env=env, timeout=20).stderr
        assert "no.so" in said and "correct `onnxruntime` (LIPSYNCD_ONNXRUNTIME" in said and "panicked" not in said


def test_too_little_memory_is_no_fault_of_the_avatar():
    """The unit starts a daemon again that ends with anything but 2."""
    env = daemon.environment(LIPSYNCD_AVATARS=str(daemon.ROOT / "avatars"), LIPSYNCD_LISTEN="127.0.0.1:0",
                             LIPSYNCD_PRELOAD="demo")
    for mib in (220, 240, 260, 280):
        def limit(most=mib << 20):
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        done = subprocess.run([daemon.binary(), "serve"], env=env, preexec_fn=limit, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode not in (0, 2), f"{mib} MiB: {done.stderr}"
        assert "export it again" not in done.stderr, f"{mib} MiB: {done.stderr}"
