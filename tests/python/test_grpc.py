"""`lipsync.v1.LipSync` from the outside."""

import threading

import conftest
import daemon
import numpy as np
import pictures
import pytest
import sounds
import talk
from stubs import lipsync

RATE = 16000


def jpegs(frames) -> list[bytes]:
    return [f.jpeg for f in frames]


@pytest.fixture(scope="module")
def whole(client, voice):
    """The frames of `voice` on "plain", from `Synthesize`."""
    return talk.synthesize(client, "plain", talk.f32(voice))


# ---------------------------------------------------------------- Synthesize

def test_synthesize_is_synth(avatars, whole, client, voice, tmp_path):
    """A float WAV holds the very samples, so the JPEGs are the same bytes."""
    path = sounds.write(tmp_path / "a.wav", voice, subtype="FLOAT")
    daemon.run("synth", "--avatar", avatars / "plain", "--audio", path, "--out", tmp_path / "out")
    files = [f.read_bytes() for f in sorted((tmp_path / "out").iterdir())]
    assert jpegs(whole) == files
    assert jpegs(talk.synthesize(client, "plain", path.read_bytes(), "WAV")) == files
    assert jpegs(talk.synthesize(client, "plain", path.read_bytes(), "UNSPECIFIED")) == files


@pytest.mark.parametrize("name", conftest.BUNDLES)
def test_synthesize_is_the_reference(name, client, judge, voice):
    avatar = judge(name)
    got = talk.synthesize(client, name, talk.f32(voice[:4000]))
    for frame, (index, expected) in zip(got, avatar.synthesize(voice[:4000], RATE), strict=True):
        assert frame.avatar_frame == index
        assert pictures.psnr(pictures.decode(frame.jpeg), pictures.jpeg_like(expected)) >= 42


@pytest.mark.parametrize("rate", [16000, 44100, 8000, 12345])
def test_every_frame_says_when_it_is(rate, client):
    sound = sounds.speech(0.6, rate, seed=3)
    frames = talk.synthesize(client, "single", talk.f32(sound), sample_rate_hz=rate)
    assert [f.index for f in frames] == list(range(-(-len(sound) * 25 // rate)))
    assert [f.pts_us for f in frames] == [40_000 * f.index for f in frames]
    assert [f.audio_sample for f in frames] == [f.index * rate // 25 for f in frames]
    assert {f.utterance for f in frames} == {0}


def test_rates_and_formats_mean_the_same_sound(client, voice, tmp_path):
    """S16LE, a WAV of it, and its floats; 0 Hz means 16000."""
    s16 = np.round(voice[:6000] * 32767).astype("<i2")
    expected = jpegs(talk.synthesize(client, "plain", s16.tobytes(), "S16LE"))
    assert jpegs(talk.synthesize(client, "plain", talk.f32(s16 / 32768))) == expected
    wav = sounds.wav_bytes(s16.tobytes())
    assert jpegs(talk.synthesize(client, "plain", wav, "WAV")) == expected
    assert jpegs(talk.synthesize(client, "plain", s16.tobytes(), "S16LE", sample_rate_hz=RATE)) == expected


def test_ping_pong_and_loop_wrap(client, judge, voice):
    for name in ("plain", "odd", "single"):
        frames = talk.synthesize(client, name, talk.f32(voice[:16000]), start_position=1002)
        assert [f.avatar_frame for f in frames] == [judge(name).frame_at(1002 + i) for i in range(25)]


def test_jpeg_quality(client, voice, whole):
    fine = talk.synthesize(client, "plain", talk.f32(voice), jpeg_quality=95)
    coarse = talk.synthesize(client, "plain", talk.f32(voice), jpeg_quality=20)
    assert len(coarse[0].jpeg) < len(whole[0].jpeg) < len(fine[0].jpeg)
    same = talk.synthesize(client, "plain", talk.f32(voice), jpeg_quality=75)
    assert jpegs(same) == jpegs(whole)


# ---------------------------------------------------------------- Converse

def test_one_sample_at_a_time(client, voice):
    sound = talk.f32(voice[:5003])
    expected = talk.synthesize(client, "plain", sound)
    answers = talk.converse(client, talk.start("plain"), *talk.cut(sound, [1]), talk.end())
    assert talk.frames(answers) == expected


@pytest.mark.parametrize("sizes", [[160], [5328], [7, 1, 900, 64, 3001], [RATE * 9]],
                         ids=["10 ms", "333 ms", "mixed", "at once"])
def test_chunks_do_not_matter(sizes, client, voice, whole):
    answers = talk.converse(client, talk.start("plain"), *talk.cut(talk.f32(voice), sizes), talk.end())
    assert talk.frames(answers) == whole
    assert talk.kinds(answers) == ["started"] + ["frame"] * len(whole) + ["utterance_done"]
    done = answers[-1].utterance_done
    assert (done.utterance, done.frames, done.samples) == (0, len(whole), len(voice))


def test_random_chunks_at_another_rate(client):
    rng = np.random.default_rng(4)
    sound = talk.f32(sounds.speech(1.1, 44100, seed=9))
    expected = talk.synthesize(client, "plain", sound, sample_rate_hz=44100)
    for _ in range(3):
        requests = talk.cut(sound, rng.integers(1, 4000, 50))
        answers = talk.converse(client, talk.start("plain", sample_rate_hz=44100), *requests, talk.end())
        assert talk.frames(answers) == expected


def test_s16_chunks(client, voice):
    s16 = np.round(voice * 32767).astype("<i2").tobytes()
    expected = talk.synthesize(client, "plain", s16, "S16LE")
    answers = talk.converse(client, talk.start("plain", "S16LE"), *talk.cut(s16, [333], width=2), talk.end())
    assert talk.frames(answers) == expected


def test_started_describes_the_avatar(client):
    (started,) = talk.converse(client, talk.start("odd"))[:1]
    s = started.started
    assert (s.fps, s.width, s.height) == (25, 333, 251)
    assert 0 < s.lookahead_samples < 2 * RATE


def test_frames_come_once_their_lookahead_is_there(client, whole):
    """No end of utterance is needed for what the audio already decides."""
    sound = sounds.speech(4.0, seed=12)
    talker = talk.Conversation(client, talk.start("plain"))
    lookahead = talker.until("started")[0].started.lookahead_samples
    frames = 20
    talker.send(talk.audio(talk.f32(sound[: (frames - 1) * 640 + lookahead])))
    got = [next(talker.call).frame for _ in range(frames)]
    assert [f.index for f in got] == list(range(frames))
    assert jpegs(got) == jpegs(talk.synthesize(client, "plain", talk.f32(sound))[:frames])
    talker.close()


@pytest.mark.parametrize("rate", [500, 2000, 8000, 48000])
def test_the_lookahead_is_enough_at_any_rate(client, rate):
    talker = talk.Conversation(client, talk.start("single", sample_rate_hz=rate))
    lookahead = talker.until("started")[0].started.lookahead_samples
    frames = 10
    noise = np.random.default_rng(9).standard_normal((frames - 1) * rate // 25 + lookahead)
    talker.send(talk.audio(talk.f32(noise / 10)))
    assert [next(talker.call).frame.index for _ in range(frames)] == list(range(frames))
    talker.close()


def test_calls_that_are_given_up_at_once_cost_no_other_on_the_connection(client):
    talker = talk.Conversation(client, talk.start("single"))
    talker.until("started")
    for _ in range(10):
        request = lipsync.SynthesizeRequest(avatar_id="single", audio=bytes(3200), audio_format=lipsync.AUDIO_FORMAT_S16LE)
        calls = [client.Synthesize(request) for _ in range(100)]
        for call in calls:
            call.cancel()
    talker.send(talk.audio(talk.f32(np.zeros(640))), talk.end())
    assert talker.until("utterance_done")[-1].utterance_done.frames == 1
    talker.close()


def test_closing_ends_the_utterance(client, voice, whole):
    answers = talk.converse(client, talk.start("plain"), *talk.cut(talk.f32(voice), [4000]))
    assert talk.frames(answers) == whole
    assert answers[-1].utterance_done.samples == len(voice)


def test_several_utterances(client, voice, whole):
    """Each starts afresh in sound, and goes on in the avatar's loop."""
    second = sounds.speech(0.7, seed=21)
    answers = talk.converse(
        client, talk.start("plain", start_position=2),
        *talk.cut(talk.f32(voice), [1600]), talk.end(), *talk.cut(talk.f32(second), [1600]), talk.end())
    frames = talk.frames(answers)
    expected = talk.synthesize(client, "plain", talk.f32(voice), start_position=2)
    assert jpegs(f for f in frames if f.utterance == 0) == jpegs(expected)
    expected = talk.synthesize(client, "plain", talk.f32(second), start_position=2 + len(whole))
    later = [f for f in frames if f.utterance == 1]
    assert jpegs(later) == jpegs(expected)
    assert [f.index for f in later] == list(range(len(expected)))
    assert [f.audio_sample for f in later] == [640 * i for i in range(len(expected))]
    done = [a.utterance_done for a in answers if a.WhichOneof("message") == "utterance_done"]
    assert [(d.utterance, d.frames, d.samples) for d in done] == [(0, 33, len(voice)), (1, 18, len(second))]


def test_interrupt_says_where_it_cut(client):
    sound = sounds.speech(6.0, seed=13)
    expected = talk.synthesize(client, "plain", talk.f32(sound), start_position=1)
    talker = talk.Conversation(client, talk.start("plain", start_position=1), *talk.cut(talk.f32(sound), [16000]))
    talker.until("frame")
    talker.send(talk.interrupt())
    answers = talker.until("interrupted")
    sent = talk.frames(answers)
    cut = answers[-1].interrupted
    assert cut.utterance == 0
    assert cut.frames == 1 + len(sent)
    assert cut.audio_sample == 640 * cut.frames
    assert cut.next_position == 1 + cut.frames
    assert jpegs(sent) == jpegs(expected[1 : cut.frames])

    second = sounds.speech(0.5, seed=14)
    talker.send(talk.audio(talk.f32(second)), talk.end())
    answers = talker.until("utterance_done")
    after = talk.synthesize(client, "plain", talk.f32(second), start_position=cut.next_position)
    assert {f.utterance for f in talk.frames(answers)} == {1}
    assert jpegs(talk.frames(answers)) == jpegs(after)
    talker.close()
    assert list(talker.call) == []


def test_many_sessions_at_once(server, client):
    """Every viewer gets the frames of their own sound."""
    voices = [talk.f32(sounds.speech(0.8, seed=30 + i)) for i in range(6)]
    names = ["plain", "odd", "plain", "single", "plain", "odd"]
    expected = [talk.synthesize(client, n, v) for n, v in zip(names, voices)]
    got = [None] * len(voices)

    def view(i):
        if i % 2:
            got[i] = talk.synthesize(client, names[i], voices[i])
        else:
            answers = talk.converse(client, talk.start(names[i]), *talk.cut(voices[i], [800]), talk.end())
            got[i] = talk.frames(answers)

    threads = [threading.Thread(target=view, args=(i,)) for i in range(len(voices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == expected


def test_unloading_lets_a_session_finish(client, voice, whole):
    talker = talk.Conversation(client, talk.start("plain"), talk.audio(talk.f32(voice[:8000])))
    talker.until("started")
    client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="plain"))
    talker.send(talk.audio(talk.f32(voice[8000:])), talk.end())
    assert talk.frames(talker.until("utterance_done")) == whole
    talker.close()
    assert talk.synthesize(client, "plain", talk.f32(voice)) == whole
