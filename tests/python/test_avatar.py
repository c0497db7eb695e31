"""`lipsyncd avatar check` and `avatar import`."""

import json
import shutil

import build
import conftest
import cv2
import daemon
import faults
import numpy as np
import pictures
import pytest
import sounds
import standin


@pytest.mark.parametrize("name", conftest.BUNDLES)
def test_sound_bundles_pass(name, avatars):
    daemon.run("avatar", "check", avatars / name)


@pytest.mark.parametrize("name", faults.FAULTS)
def test_every_fault_is_named(name, avatars, tmp_path):
    bundle = faults.spoil(avatars / "plain", tmp_path / "bundle", name)
    said = daemon.run("avatar", "check", bundle, expect=2).output
    _, file, word = faults.FAULTS[name]
    assert file in said and word in said and "panicked" not in said


def test_all_faults_at_once(avatars, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(avatars / "plain", bundle)
    together = ("unknown key", "frames of two sizes", "box outside", "generator is cut", "encoder is cut")
    for name in together:
        faults.FAULTS[name][0](bundle)
    said = daemon.run("avatar", "check", bundle, expect=2).output
    for name in together:
        assert faults.FAULTS[name][1] in said, name


def test_every_picture_that_does_not_decode_is_named(avatars, tmp_path):
    """Their headers are sound, so only decoding tells."""
    bundle = tmp_path / "bundle"
    shutil.copytree(avatars / "plain", bundle)
    for at in (1, 3):
        faults.halve(faults.frame(bundle, at))
    said = daemon.run("avatar", "check", bundle, expect=2).output
    assert "000001" in said and "000003" in said and "000002" not in said
    daemon.run("avatar", "check", "--quick", bundle)


def test_networks_that_could_not_be_run_are_no_pass(avatars, tmp_path):
    missing = {"LIPSYNCD_ONNXRUNTIME": str(tmp_path / "no.so")}
    said = daemon.run("avatar", "check", avatars / "plain", expect=1, env=missing).stderr
    assert "no.so" in said and "not run" in said and "--quick" in said
    daemon.run("avatar", "check", "--quick", avatars / "plain", env=missing)
    # A fault that was found is one without them too.
    bundle = tmp_path / "bundle"
    shutil.copytree(avatars / "plain", bundle)
    faults.halve(faults.frame(bundle, 1))
    said = daemon.run("avatar", "check", bundle, expect=2, env=missing).output
    assert "not run" in said and "000001" in said


def test_a_network_for_which_there_is_no_memory_is_refused(avatars, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(avatars / "plain", bundle)
    faults.more_memory_than_there_is(bundle)
    refused = daemon.run("avatar", "check", bundle, expect=None)
    assert refused.returncode in (1, 2) and "generator.onnx" in refused.output


def test_a_folder_that_is_none(tmp_path):
    assert "nowhere" in daemon.run("avatar", "check", tmp_path / "nowhere", expect=2).output
    (tmp_path / "file").write_text("x")
    assert "file" in daemon.run("avatar", "check", tmp_path / "file", expect=2).output


def frames_of(avatar, tmp_path):
    """What `synth` makes of it, as a check that the whole bundle works."""
    wav = sounds.write(tmp_path / "a.wav", sounds.speech(0.3, seed=1))
    daemon.run("synth", "--avatar", avatar, "--audio", wav, "--out", tmp_path / "frames", "--format", "png")
    return sorted((tmp_path / "frames").iterdir())


def test_import_from_synctalk(tmp_path):
    """Box: x of point 1, y of point 52, x of point 31, as wide as high."""
    dataset, networks = tmp_path / "dataset", tmp_path / "networks"
    (dataset / "full_body_img").mkdir(parents=True)
    (dataset / "landmarks").mkdir()
    build.write(networks, "tiny", seed=3)
    rng = np.random.default_rng(1)
    wanted = []
    # Names without padding: a folder sorted as text would mix them up.
    for i in range(12):
        standin.noise_frame(rng, (480, 270)).save(dataset / f"full_body_img/{i}.jpg", quality=95)
        points = rng.integers(0, 200, (110, 2))
        x0, y0, side = 40 + i, 30 + 2 * i, 120 + i
        points[1, 0], points[52, 1], points[31, 0] = x0, y0, x0 + side
        (dataset / f"landmarks/{i}.lms").write_text("".join(f"{x} {y}\n" for x, y in points))
        wanted.append([x0, y0, x0 + side, y0 + side])
    out = tmp_path / "avatar"
    daemon.run("avatar", "import", "synctalk", "--dataset", dataset, "--out", out,
               "--generator", networks / "generator.onnx", "--audio-encoder", networks / "audio_encoder.onnx")
    daemon.run("avatar", "check", out)
    assert json.loads((out / "boxes.json").read_text()) == wanted
    files = frames_of(out, tmp_path)
    for i, file in enumerate(files):
        source = cv2.imread(str(dataset / f"full_body_img/{i}.jpg"))
        pictures.assert_same_frame(cv2.imread(str(file)), source, wanted[i], decibels=0, largest=255, brighter=255)


@pytest.mark.parametrize("fmt", ["png", "jpg"])
def test_import_from_the_go_server(fmt, tmp_path):
    model = tmp_path / "sanders"
    (model / "frames").mkdir(parents=True)
    build.write(model, "tiny", batch="1", seed=4)
    (model / "generator.onnx").rename(model / "model_best.onnx")
    rng = np.random.default_rng(2)
    rects = []
    for i in range(6):
        standin.noise_frame(rng, (400, 300)).save(model / f"frames/frame_{i:04}.{fmt}")
        rects.append([30 + i, 40, 30 + i + 150, 190])
    (model / "crop_rects.json").write_text(json.dumps(rects))
    out = tmp_path / "avatar"
    daemon.run("avatar", "import", "go-server", "--model", model, "--out", out)
    daemon.run("avatar", "check", out)
    assert json.loads((out / "boxes.json").read_text()) == rects
    files = frames_of(out, tmp_path)
    source = cv2.imread(str(model / f"frames/frame_0001.{fmt}"))
    pictures.assert_same_frame(cv2.imread(str(files[1])), source, rects[1], decibels=0, largest=255, brighter=255)


def test_import_says_what_is_missing(tmp_path):
    (tmp_path / "empty").mkdir()
    said = daemon.run("avatar", "import", "go-server", "--model", tmp_path / "empty", "--out", tmp_path / "out",
                      expect=2).output
    assert "empty" in said
    assert not (tmp_path / "out").exists(), "a failed import leaves no half bundle"


def test_import_never_writes_over_a_bundle(avatars, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(avatars / "single", kept)
    before = sorted((f, f.stat().st_mtime_ns) for f in kept.rglob("*"))
    model = tmp_path / "model"
    shutil.copytree(avatars / "single", model)
    done = daemon.run("avatar", "import", "go-server", "--model", model, "--out", kept, expect=2)
    assert done.output.strip()
    assert sorted((f, f.stat().st_mtime_ns) for f in kept.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_no_bad_input(tmp_path):
    model = tmp_path / "sanders"
    (model / "frames").mkdir(parents=True)
    build.write(model, "tiny", batch="1", seed=4)
    (model / "generator.onnx").rename(model / "model_best.onnx")
    standin.noise_frame(np.random.default_rng(2), (400, 300)).save(model / "frames/frame_0000.png")
    (model / "crop_rects.json").write_text("[[30, 40, 180, 190]]")
    import_ = ("avatar", "import", "go-server", "--model", model, "--out")
    assert "cannot be written" in daemon.run(*import_, "/proc/nowhere/sanders", expect=1).output
    daemon.run(*import_, model, expect=2)
