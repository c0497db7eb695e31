"""`monolithic.MonolithicService`: what clients of the Go server rely on."""

import threading
import time

import numpy as np
import pictures
import pytest
import sounds
import talk
from stubs import monolithic

PICTURE = 6 * 320 * 320


def request(name="plain", batch=5, **fields):
    fields.setdefault("raw_audio", talk.f32(sounds.speech(min(max(batch, 1), 40) / 25, seed=40)))
    return monolithic.CompositeBatchRequest(model_id=name, batch_size=batch, **fields)


def infer(old_client, *arguments, **fields):
    answer = old_client.InferBatchComposite(request(*arguments, **fields), timeout=60)
    assert answer.success, answer.error
    return list(answer.composited_frames)


def refused(old_client, *arguments, **fields) -> str:
    """The sentence of a failure, which must come with gRPC status OK."""
    answer = old_client.InferBatchComposite(request(*arguments, **fields), timeout=60)
    assert not answer.success and not answer.composited_frames
    assert 10 < len(answer.error) < 1000
    assert len(infer(old_client, batch=1)) == 1, "the next request must be served"
    return answer.error


def jpegs(frames) -> list[bytes]:
    return [f.jpeg for f in frames]


@pytest.mark.parametrize("batch", [1, 2, 17, 32])
def test_the_first_frames_of_the_recipe(batch, client, old_client):
    sound = talk.f32(sounds.speech(batch / 25 + 0.5, seed=41))
    expected = talk.synthesize(client, "plain", sound, start_position=3)[:batch]
    answer = old_client.InferBatchComposite(request("plain", batch, raw_audio=sound, start_frame_idx=3))
    assert answer.success and answer.error == "" and answer.model_loaded and answer.gpu_id == -1
    assert list(answer.composited_frames) == jpegs(expected)
    assert answer.inference_time_ms > 0 and answer.composite_time_ms > 0 and answer.audio_processing_ms > 0
    assert answer.total_time_ms > 0 and answer.model_load_time_ms == 0


def test_exactly_the_batchs_own_length(client, old_client):
    sound = talk.f32(sounds.speech(8 / 25, seed=42))
    assert infer(old_client, batch=8, raw_audio=sound) == jpegs(talk.synthesize(client, "plain", sound))


def test_another_rate(client, old_client):
    sound = talk.f32(sounds.speech(0.5, 24000, seed=43))
    expected = talk.synthesize(client, "odd", sound, sample_rate_hz=24000)[:10]
    assert infer(old_client, "odd", 10, raw_audio=sound, sample_rate=24000) == jpegs(expected)


@pytest.mark.parametrize("start", [4, 5, 7, 1_000_000, 2**31 - 1])
def test_past_the_last_frame_it_wraps(start, client, old_client):
    sound = talk.f32(sounds.speech(0.3, seed=44))
    for name in ("plain", "odd"):
        expected = talk.synthesize(client, name, sound, start_position=start)[:6]
        assert infer(old_client, name, 6, raw_audio=sound, start_frame_idx=start) == jpegs(expected)


def test_own_pictures_change_nothing(judge, old_client):
    """`visual_frames` of the avatar's own pictures: the same frames, but for
    the grey level by which two bicubic filters may differ."""
    avatar = judge("plain")
    own = np.concatenate([avatar.picture_input(avatar.frame_at(2 + i)) for i in range(4)])
    sound = talk.f32(sounds.speech(0.4, seed=45))
    plain = infer(old_client, batch=4, raw_audio=sound, start_frame_idx=2)
    given = infer(old_client, batch=4, raw_audio=sound, start_frame_idx=2, visual_frames=talk.f32(own))
    for a, b in zip(plain, given, strict=True):
        assert pictures.psnr(pictures.decode(a), pictures.decode(b)) >= 42


def expected_frames(avatar, visual, contexts, start=0):
    """The reference on given pictures, as a viewer sees it in JPEG."""
    for i, context in enumerate(contexts):
        index = avatar.frame_at(start + i)
        yield pictures.jpeg_like(avatar.composite(index, avatar.generate(visual[i : i + 1], context)))


def test_given_pictures_are_used(judge, old_client):
    avatar = judge("plain")
    own = np.concatenate([avatar.picture_input(i) for i in range(4)])
    altered = np.ascontiguousarray(1 - own[:, :, ::-1])
    sound = sounds.speech(0.4, seed=46)
    got = infer(old_client, batch=4, raw_audio=talk.f32(sound), visual_frames=talk.f32(altered))
    contexts = avatar.contexts_of(sound, 16000)[:4]
    for i, expected in enumerate(expected_frames(avatar, altered, contexts)):
        assert pictures.psnr(pictures.decode(got[i]), expected) >= 42
    assert infer(old_client, batch=4, raw_audio=talk.f32(sound)) != got


def test_given_features_serve_the_whole_batch(judge, old_client):
    avatar = judge("plain")
    context = avatar.contexts_of(sounds.speech(1.0, seed=47), 16000)[12]
    got = infer(old_client, batch=3, raw_audio=b"", audio_features=talk.f32(context))
    own = np.concatenate([avatar.picture_input(i) for i in range(3)])
    for i, expected in enumerate(expected_frames(avatar, own, [context] * 3)):
        assert pictures.psnr(pictures.decode(got[i]), expected) >= 42
    both = infer(old_client, batch=3, raw_audio=b"", audio_features=talk.f32(context),
                 visual_frames=talk.f32(1 - own))
    for i, expected in enumerate(expected_frames(avatar, 1 - own, [context] * 3)):
        assert pictures.psnr(pictures.decode(both[i]), expected) >= 42


def test_two_clients_never_mix(server, old_client):
    """The Go server handed one client's frames to another."""
    sounds_of = [talk.f32(sounds.speech(0.5, seed=50 + i)) for i in range(4)]
    expected = [infer(old_client, batch=12, raw_audio=s) for s in sounds_of]
    assert len({tuple(e) for e in expected}) == 4
    wrong = []

    def client_of(i):
        with server.connect() as channel:
            stub = type(old_client)(channel)
            for _ in range(8):
                if infer(stub, batch=12, raw_audio=sounds_of[i]) != expected[i]:
                    wrong.append(i)

    threads = [threading.Thread(target=client_of, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


@pytest.mark.parametrize("batch", [0, 33, -1, 2**31 - 1])
def test_batch_size(batch, old_client):
    assert "batch_size" in refused(old_client, "plain", batch)


@pytest.mark.parametrize("length", [4, PICTURE * 4 * 2 - 4, PICTURE * 4 * 3, PICTURE * 4 * 2 + 1])
def test_length_of_visual_frames(length, old_client):
    assert "visual_frames" in refused(old_client, "plain", 2, visual_frames=bytes(length))


def test_values_of_visual_frames(old_client):
    pictures_with_nan = np.full((1, 6, 320, 320), np.nan, "<f4").tobytes()
    said = refused(old_client, "plain", 1, visual_frames=pictures_with_nan)
    assert "visual_frames" in said and "audio" not in said


@pytest.mark.parametrize("audio", [bytes(4 * 640 * 2 - 4), bytes(4 * 640 * 2 + 3), b"\0\0\xc0\x7f" * 3000],
                         ids=["too short", "odd bytes", "nan"])
def test_raw_audio(audio, old_client):
    assert "raw_audio" in refused(old_client, "plain", 2, raw_audio=audio)


def test_no_sound_at_all(old_client):
    assert "raw_audio" in refused(old_client, "plain", 2, raw_audio=b"")


def test_length_of_audio_features(old_client):
    assert "audio_features" in refused(old_client, "plain", 2, raw_audio=b"", audio_features=bytes(4 * 8191))


@pytest.mark.parametrize("rate", [-1, 2_000_000])
def test_sample_rate(rate, old_client):
    said = refused(old_client, "plain", 1, raw_audio=bytes(400_000), sample_rate=rate)
    assert "sample rate" in said.replace("_", " ")


def test_start_frame(old_client):
    assert "start_frame_idx" in refused(old_client, "plain", 1, start_frame_idx=-1)


@pytest.mark.parametrize("name", ["", "nobody", "../plain", "/etc/passwd", "plain\0x", "a" * 10_000_000, ".", ".."],
                         ids=["empty", "unknown", "parent", "absolute", "nul", "long", "dot", "dots"])
def test_names(name, old_client):
    refused(old_client, name, 1)
    loading = old_client.LoadModel(monolithic.LoadModelRequest(model_id=name, preferred_gpu=-1))
    assert not loading.success and 10 < len(loading.error) < 1000
    freeing = old_client.UnloadModel(monolithic.UnloadModelRequest(model_id=name))
    assert not freeing.success and 10 < len(freeing.error) < 1000


def test_models_are_loaded_counted_and_freed(old_client, judge):
    def listed(name):
        models = old_client.ListModels(monolithic.ListModelsRequest()).models
        return next(m for m in models if m.model_id == name)

    def stats(name):
        models = old_client.GetModelStats(monolithic.GetModelStatsRequest()).models
        return next(m for m in models if m.model_id == name)

    loading = old_client.LoadModel(monolithic.LoadModelRequest(model_id="odd", preferred_gpu=-1))
    assert loading.success and loading.error == "" and loading.gpu_id == -1
    before = listed("odd")
    assert before.loaded and before.gpu_id == -1 and before.memory_mb >= 0
    for _ in range(3):
        infer(old_client, "odd", 4)
    assert listed("odd").request_count == before.request_count + 3
    assert listed("odd").avg_inference_ms > 0
    figures = stats("odd")
    assert figures.loaded and figures.request_count == before.request_count + 3
    assert figures.avg_inference_ms > 0
    assert abs(figures.last_used_timestamp - time.time()) < 30

    health = old_client.Health(monolithic.HealthRequest())
    assert health.healthy and health.loaded_models >= 1 and health.max_models >= 1
    assert not health.gpu_ids

    assert old_client.UnloadModel(monolithic.UnloadModelRequest(model_id="odd")).success
    assert not listed("odd").loaded
    assert old_client.Health(monolithic.HealthRequest()).loaded_models == health.loaded_models - 1
    reloaded = old_client.InferBatchComposite(request("odd", 1))
    assert reloaded.success and reloaded.model_load_time_ms > 0
