"""`lipsyncd doctor` says what `serve` would use with the same settings."""

import daemon
import pytest


def doctor(*arguments, expect=0, **env):
    """Its lines by their names; a line without one belongs to the line above."""
    said = daemon.run("doctor", *arguments, expect=expect, env=env, timeout=60)
    lines = {}
    for line in said.stdout.splitlines():
        name, value = line[:14].strip(), line[15:]
        lines.setdefault(name, []).append(value)
    return lines, said.output


def without_runtime(monkeypatch, tmp_path):
    """As in the unit: no home, and no library but one that is named."""
    for name, value in {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    clean = daemon.environment
    monkeypatch.setattr(daemon, "environment", lambda **more: {
        key: value for key, value in clean(**more).items() if key != "LIPSYNCD_ONNXRUNTIME" or key in more})


def test_slots_and_threads_are_those_of_the_settings(tmp_path):
    lines, _ = doctor(LIPSYNCD_BACKEND="cpu", LIPSYNCD_SLOTS="7", LIPSYNCD_THREADS_PER_SLOT="4")
    assert lines["backend"][0].startswith("cpu") and lines["backend"][0].endswith("7 slots of 4 threads")
    config = tmp_path / "lipsyncd.toml"
    config.write_text('backend = "cpu"\nslots = 3\n')
    lines, _ = doctor("--config", config)
    assert lines["backend"][0].endswith("3 slots of 1 thread") and str(config) in lines["settings"][0]
    lines, _ = doctor("--config", config, LIPSYNCD_SLOTS="5")
    assert lines["backend"][0].endswith("5 slots of 1 thread")


def test_what_serve_would_refuse_is_refused(avatars):
    wanted = {"LIPSYNCD_BACKEND": "cuda", "LIPSYNCD_GPUS": "63"}
    lines, said = doctor(expect=1, **wanted)
    assert lines["backend"][-1] == "none" and 'backend = "cuda"' in said
    served = daemon.run("serve", expect=1, env={"LIPSYNCD_AVATARS": str(avatars), **wanted}, timeout=60)
    assert served.stderr.strip().splitlines()[-1] == said.strip().splitlines()[-1]


@pytest.mark.parametrize("env", [{"LIPSYNCD_SLOTS": "many"}, {"LIPSYNCD_SLOT": "3"}])
def test_a_wrong_setting_is_one_here_too(env):
    assert "LIPSYNCD_SLOT" in doctor(expect=2, **env)[1]


def test_a_runtime_named_in_the_file_is_found_as_serve_finds_it(tmp_path, monkeypatch):
    library = daemon.environment()["LIPSYNCD_ONNXRUNTIME"]
    without_runtime(monkeypatch, tmp_path)
    config = tmp_path / "lipsyncd.toml"
    config.write_text(f'backend = "cpu"\nonnxruntime = "{library}"\n')
    lines, _ = doctor("--config", config)
    assert lines["ONNX Runtime"] == [library] and lines["backend"][0].startswith("cpu")
    lines, _ = doctor("--config", config, "--onnxruntime", tmp_path / "no.so", expect=2)
    assert "no.so" in lines["ONNX Runtime"][0]
    lines, _ = doctor("--config", config, expect=2, LIPSYNCD_ONNXRUNTIME=str(tmp_path / "other.so"))
    assert "other.so" in lines["ONNX Runtime"][0] and lines["backend"] == ["none"]


def test_what_is_no_key_is_named():
    lines, _ = doctor(LIPSYNCD_BACKEND="cpu", LIPSYNCD_REPLICAS="2")
    assert "LIPSYNCD_REPLICAS is no key, and is ignored" in lines[""]
