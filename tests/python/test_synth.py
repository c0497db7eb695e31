"""`lipsyncd synth` against the reference, picture by picture."""

import os
import shutil
import struct
import subprocess

import conftest
import cv2
import daemon
import numpy as np
import pictures
import PIL.Image
import pytest
import reference
import sounds


def synth(avatar, audio, out, *more):
    daemon.run("synth", "--avatar", avatar, "--audio", audio, "--out", out, *more)
    return sorted(out.iterdir()) if out.is_dir() else out


@pytest.fixture(scope="module")
def voice_wav(tmp_path_factory, voice):
    return sounds.write(tmp_path_factory.mktemp("voice") / "voice.wav", voice)


@pytest.mark.parametrize("name", conftest.BUNDLES)
def test_frames_are_the_references(name, avatars, judge, voice_wav, tmp_path):
    files = synth(avatars / name, voice_wav, tmp_path / "out", "--format", "png")
    samples, rate = reference.read_audio(voice_wav)
    assert [f.name for f in files] == [f"{i:06}.png" for i in range(reference.frame_count(len(samples), rate))]
    avatar = judge(name)
    moved = 0.0
    for file, (index, expected) in zip(files, avatar.synthesize(samples, rate), strict=True):
        got = cv2.imread(str(file))
        pictures.assert_same_frame(got, expected, avatar.boxes[index])
        moved = max(moved, np.abs(got.astype(int) - avatar.frames[index]).max())
    # The judge must not pass for a frame left as it was.
    assert moved > 20


def test_speech_moves_the_picture(avatars, voice_wav, tmp_path):
    """The same pose, seen in silence and in speech, differs."""
    quiet = sounds.write(tmp_path / "quiet.wav", np.zeros(20803))
    spoken = synth(avatars / "single", voice_wav, tmp_path / "a", "--format", "png")
    silent = synth(avatars / "single", quiet, tmp_path / "b", "--format", "png")
    difference = np.abs(cv2.imread(str(spoken[15])).astype(int) - cv2.imread(str(silent[15])))
    assert difference.max() > 5


@pytest.mark.parametrize("start", [3, 1_000_003])
def test_start_position(start, avatars, judge, voice_wav, tmp_path):
    files = synth(avatars / "plain", voice_wav, tmp_path / "out", "--format", "png", "--start-position", start)
    avatar = judge("plain")
    expected = avatar.synthesize(*reference.read_audio(voice_wav), start)
    for file, (index, picture) in list(zip(files, expected))[:9]:
        pictures.assert_same_frame(cv2.imread(str(file)), picture, avatar.boxes[index])


@pytest.mark.parametrize("rate, count", [(16000, 1), (16000, 639), (16000, 640), (16000, 641), (16000, 2999),
                                         (44100, 17640), (44100, 17641), (48000, 9601), (8000, 4001), (11025, 442)])
def test_short_sounds_and_frame_counts(rate, count, avatars, judge, tmp_path):
    path = sounds.write(tmp_path / "a.wav", sounds.speech(1.0, rate, seed=2)[:count], rate)
    files = synth(avatars / "single", path, tmp_path / "out", "--format", "png")
    assert len(files) == -(-count * 25 // rate)
    avatar = judge("single")
    # Another rate brings another resampler: close, but not to the last level.
    limits = {} if rate == 16000 else dict(decibels=36, largest=40, brighter=2)
    for file, (index, expected) in zip(files, avatar.synthesize(*reference.read_audio(path)), strict=True):
        pictures.assert_same_frame(cv2.imread(str(file)), expected, avatar.boxes[index], **limits)


def test_jpeg_is_baseline_420_at_quality_75(avatars, voice_wav, tmp_path):
    files = synth(avatars / "plain", voice_wav, tmp_path / "jpg")
    exact = synth(avatars / "plain", voice_wav, tmp_path / "png", "--format", "png")
    assert [f.name for f in files] == [f"{i:06}.jpg" for i in range(33)]
    for jpeg, png in zip(files, exact, strict=True):
        assert pictures.psnr(cv2.imread(str(jpeg)), pictures.jpeg_like(cv2.imread(str(png)))) >= 45
    with PIL.Image.open(files[0]) as picture:
        assert [layer[1:3] for layer in picture.layer] == [(2, 2), (1, 1), (1, 1)]
        cv2.imwrite(str(tmp_path / "75.jpg"), cv2.imread(str(exact[0])), [cv2.IMWRITE_JPEG_QUALITY, 75])
        with PIL.Image.open(tmp_path / "75.jpg") as like:
            assert picture.quantization == like.quantization
    small = synth(avatars / "plain", voice_wav, tmp_path / "small", "--quality", "30")
    assert small[0].stat().st_size < 0.8 * files[0].stat().st_size


def test_runs_are_byte_identical(avatars, voice_wav, tmp_path):
    first = synth(avatars / "odd", voice_wav, tmp_path / "a")
    again = synth(avatars / "odd", voice_wav, tmp_path / "b")
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in again]


def riff_chunks(data: bytes, start=12):
    """Every leaf chunk of a RIFF file, lists opened: `(name, bytes)`."""
    at = start
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        assert at + 8 + size <= len(data), f"chunk {name} runs past the file's end"
        if name in (b"LIST", b"RIFF"):
            at += 12
            continue
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def test_avi_holds_the_jpegs_and_the_sound(avatars, voice_wav, voice, tmp_path):
    files = synth(avatars / "plain", voice_wav, tmp_path / "jpg")
    movie = synth(avatars / "plain", voice_wav, tmp_path / "movie.avi")
    data = movie.read_bytes()
    assert (data[:4], data[8:12]) == (b"RIFF", b"AVI ")
    chunks = list(riff_chunks(data))
    assert [c for name, c in chunks if name == b"00dc"] == [f.read_bytes() for f in files]
    sound = b"".join(c for name, c in chunks if name == b"01wb")
    expected = reference.read_audio(voice_wav)[0]
    got = np.frombuffer(sound, "<i2")[: len(expected)] / 32768
    assert len(got) == len(expected) and np.abs(got - expected).max() <= 2 / 32768

    reader = cv2.VideoCapture(str(movie))
    assert reader.get(cv2.CAP_PROP_FPS) == 25
    count = 0
    while (frame := reader.read()[1]) is not None:
        assert frame.shape == (360, 640, 3)
        count += 1
    assert count == 33


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffmpeg")
@pytest.mark.parametrize("name", ["movie.avi", "movie.mp4"])
def test_movies_play_in_ffmpeg(name, avatars, voice_wav, tmp_path):
    movie = synth(avatars / "plain", voice_wav, tmp_path / name)
    said = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries",
         "stream=codec_type,nb_read_frames,r_frame_rate", "-of", "csv=p=0", movie],
        capture_output=True, text=True, check=True)
    assert said.stderr == ""
    video, audio = sorted(said.stdout.split(), reverse=True)
    assert video == "video,25/1,33"
    assert audio.startswith("audio")


def test_mp4_without_ffmpeg_says_how_to_get_it(avatars, voice_wav, tmp_path):
    out = tmp_path / "movie.mp4"
    done = daemon.run("synth", "--avatar", avatars / "plain", "--audio", voice_wav, "--out", out,
                      expect=None, env={"PATH": "/nowhere"})
    assert done.returncode in (1, 2)
    assert "ffmpeg" in done.output and not out.exists()


def test_a_video_goes_where_a_link_leads_and_to_no_device(avatars, voice_wav, tmp_path):
    link = tmp_path / "link.avi"
    link.symlink_to("there.avi")
    (tmp_path / "there.avi").write_bytes(b"old")
    synth(avatars / "single", voice_wav, link)
    assert link.is_symlink() and (tmp_path / "there.avi").read_bytes()[:4] == b"RIFF"
    fifo = tmp_path / "fifo.avi"
    os.mkfifo(fifo)
    said = daemon.run("synth", "--avatar", avatars / "single", "--audio", voice_wav, "--out", fifo, expect=2).output
    assert "no file" in said and fifo.is_fifo()


def test_nothing_that_a_film_is_made_of_is_lost(avatars, voice_wav, tmp_path):
    bundle = tmp_path / "own"
    shutil.copytree(avatars / "plain", bundle)
    refused = lambda out, audio=voice_wav: daemon.run("synth", "--avatar", bundle, "--audio", audio, "--out", out, expect=2).output
    for out in (bundle, bundle / "frames", bundle / "new/frames"):
        assert "avatar's own folder" in refused(out)
    daemon.run("avatar", "check", "--quick", bundle)
    part = tmp_path / "film.avi.part"
    shutil.copy(voice_wav, part)
    assert str(part) in refused(tmp_path / "film.avi", part)
    assert part.read_bytes() == voice_wav.read_bytes()
    assert str(part) in daemon.run("mel", "--audio", part, "--out", tmp_path / "film.avi", expect=2).output


def test_what_is_neither_a_film_nor_a_folder_is_refused(avatars, voice_wav, tmp_path):
    film, file = tmp_path / "film.mov", tmp_path / "file"
    file.write_text("kept")
    for out, word in ((film, ".avi"), (file, "no folder")):
        said = daemon.run("synth", "--avatar", avatars / "plain", "--audio", voice_wav, "--out", out, expect=2).output
        assert word in said and str(out) in said
    assert not film.exists() and file.read_text() == "kept"


@pytest.mark.parametrize("rate", [200, 240])
def test_the_slowest_sounds_are_drawn_the_same_each_time(rate, avatars, tmp_path):
    sound = sounds.write(tmp_path / "slow.wav", np.random.default_rng(5).uniform(-0.5, 0.5, 40 * rate).astype(np.float32), rate)
    films = []
    for name in ("a.avi", "b.avi", "c.avi"):
        synth(avatars / "single", sound, tmp_path / name)
        films.append((tmp_path / name).read_bytes())
    assert films[0] == films[1] == films[2]


def piped(audio: bytes, *arguments):
    command = [daemon.binary(), "synth", "--audio", "/dev/stdin", *map(str, arguments)]
    done = subprocess.run(command, input=audio, capture_output=True, env=daemon.environment(), timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def test_sound_from_a_pipe(avatars, server, voice_wav, tmp_path):
    """Which gives it once: here, to a daemon, and to ffmpeg."""
    files = synth(avatars / "plain", voice_wav, tmp_path / "file")
    sound = voice_wav.read_bytes()
    piped(sound, "--avatar", avatars / "plain", "--out", tmp_path / "local")
    piped(sound, "--avatar", "plain", "--server", f"http://{server.address}", "--out", tmp_path / "remote")
    for folder in ("local", "remote"):
        assert [f.read_bytes() for f in sorted((tmp_path / folder).iterdir())] == [f.read_bytes() for f in files]


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffmpeg")
def test_a_movie_with_sound_from_stdin(avatars, voice_wav, tmp_path):
    """Be that a pipe, or a file that ffmpeg would look for in its own stdin."""
    piped(voice_wav.read_bytes(), "--avatar", avatars / "single", "--out", tmp_path / "pipe.mp4")
    command = [daemon.binary(), "synth", "--audio", "/dev/stdin", "--avatar", avatars / "single",
               "--out", tmp_path / "file.mp4"]
    with open(voice_wav, "rb") as stdin:
        subprocess.run(command, stdin=stdin, check=True, env=daemon.environment(), timeout=120)
    for name in ("pipe.mp4", "file.mp4"):
        said = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,duration", "-of", "csv=p=0",
             tmp_path / name], capture_output=True, text=True, check=True).stdout
        lengths = dict(line.split(",")[:2] for line in said.split())
        assert float(lengths["audio"]) == pytest.approx(1.3, abs=0.1), said
        assert float(lengths["video"]) == pytest.approx(1.32, abs=0.01), said


def test_a_shorter_run_leaves_no_frame_of_a_longer_one(avatars, voice_wav, tmp_path):
    assert len(synth(avatars / "single", voice_wav, tmp_path / "out")) == 33
    (tmp_path / "out/notes.txt").write_text("kept")
    short = sounds.write(tmp_path / "short.wav", sounds.speech(0.2, seed=2))
    names = [f.name for f in synth(avatars / "single", short, tmp_path / "out")]
    assert names == [f"{i:06}.jpg" for i in range(5)] + ["notes.txt"]
