"""Patches alone, and the backgrounds they belong to: what a client that composites by itself relies on."""

import conftest
import grpc
import numpy as np
import pictures
import pytest
import talk
from stubs import lipsync

# The strip of "close-up" is most of its frame: that is encoded whole.
SPLICED = ["plain", "odd", "large-box", "single"]

RST = range(0xD0, 0xD8)


def backgrounds(client, avatar, **fields):
    """The header and the frames, by number."""
    answers = list(client.GetAvatarFrames(lipsync.GetAvatarFramesRequest(avatar_id=avatar, **fields), timeout=60))
    assert answers[0].WhichOneof("item") == "backgrounds"
    frames = {a.frame.avatar_frame: a.frame for a in answers[1:]}
    assert list(frames) == list(range(len(answers) - 1))
    return answers[0].backgrounds, frames


def segments(data: bytes) -> list[bytes]:
    """Entropy-coded data cut behind each restart marker; a stuffed FF is FF 00."""
    cuts = [i + 2 for i in range(len(data) - 1) if data[i] == 0xFF and data[i + 1] in RST]
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b or a == 0]


def spliced(background: bytes, patch) -> bytes:
    """The whole frame's file: the patch's segments in the place of the background's."""
    scan = background.index(b"\xff\xda")
    scan += 2 + int.from_bytes(background[scan + 2 : scan + 4], "big")
    body = segments(background[scan:-2])
    own = segments(patch.segments)
    assert len(own) == patch.runs * patch.run_length
    for k, segment in enumerate(own):
        run, at = divmod(k, patch.run_length)
        body[patch.first_segment + run * patch.run_stride + at] = segment
    return background[:scan] + b"".join(body) + background[-2:]


def composed(background: bytes, patch) -> np.ndarray:
    """The decoded frame: the patch drawn over the background."""
    frame, small = pictures.decode(background), pictures.decode(patch.jpeg)
    frame[patch.y : patch.y + patch.height, patch.x : patch.x + patch.width] = small[:, : patch.width]
    return frame


@pytest.mark.parametrize("name", SPLICED)
@pytest.mark.parametrize("quality", [0, 40])
def test_segments_make_the_frames_file(name, quality, client, voice):
    whole = talk.synthesize(client, name, talk.f32(voice), jpeg_quality=quality)
    patches = talk.synthesize(client, name, talk.f32(voice), jpeg_quality=quality, output="OUTPUT_PATCH_SEGMENTS")
    head, frames = backgrounds(client, name, jpeg_quality=quality)
    assert head.restart_interval > 0
    for full, patch in zip(whole, patches, strict=True):
        assert not patch.jpeg and patch.patch.version == head.version
        assert (patch.index, patch.pts_us, patch.avatar_frame) == (full.index, full.pts_us, full.avatar_frame)
        assert spliced(frames[patch.avatar_frame].jpeg, patch.patch) == full.jpeg


@pytest.mark.parametrize("name", SPLICED)
def test_a_patch_drawn_over_its_background_is_the_frame(name, client, voice):
    whole = talk.synthesize(client, name, talk.f32(voice))
    patches = talk.synthesize(client, name, talk.f32(voice), output="OUTPUT_PATCH_JPEG")
    head, frames = backgrounds(client, name)
    for full, patch in zip(whole, patches, strict=True):
        background = frames[patch.avatar_frame]
        p = patch.patch
        assert p.x <= background.x0 < background.x1 <= p.x + p.width <= head.width
        assert p.y <= background.y0 < background.y1 <= p.y + p.height <= head.height
        expected, got = pictures.decode(full.jpeg), composed(background.jpeg, p)
        differs = np.abs(expected.astype(int) - got).max(axis=2)
        # Decoders smooth chroma across the patch's edge; two pixels away from it, on either side, all is the same.
        edge = np.ones_like(differs, bool)
        edge[: max(p.y - 2, 0)] = edge[p.y + p.height + 2 :] = False
        edge[:, : max(p.x - 2, 0)] = edge[:, p.x + p.width + 2 :] = False
        edge[p.y + 2 : p.y + p.height - 2, p.x + 2 : p.x + p.width - 2] = False
        assert not differs[~edge].any()


def test_the_patch_is_a_fraction_of_the_frame(client, voice):
    whole = talk.synthesize(client, "plain", talk.f32(voice))
    for output, field in (("OUTPUT_PATCH_JPEG", "jpeg"), ("OUTPUT_PATCH_SEGMENTS", "segments")):
        patches = talk.synthesize(client, "plain", talk.f32(voice), output=output)
        assert sum(len(getattr(p.patch, field)) for p in patches) < 0.5 * sum(len(f.jpeg) for f in whole)


def test_converse_sends_the_same_patches(client, voice):
    patches = talk.synthesize(client, "plain", talk.f32(voice), output="OUTPUT_PATCH_SEGMENTS")
    answers = talk.converse(client, talk.start("plain", output="OUTPUT_PATCH_SEGMENTS"),
                            *talk.cut(talk.f32(voice), [333, 1600]), talk.end())
    assert [f.patch for f in talk.frames(answers)] == [p.patch for p in patches]


def test_known_backgrounds_are_not_sent_again(client):
    head, frames = backgrounds(client, "plain")
    again, none = backgrounds(client, "plain", known_version=head.version)
    assert again.not_modified and not none and again.version == head.version
    assert not head.not_modified and len(frames) == head.frames
    for other in (b"x", head.version[:-1], b"\0" * 16):
        assert backgrounds(client, "plain", known_version=other)[1].keys() == frames.keys()
    assert backgrounds(client, "plain", jpeg_quality=30)[0].version != head.version
    assert backgrounds(client, "odd")[0].version != head.version


@pytest.mark.parametrize("name", conftest.BUNDLES)
def test_backgrounds_are_the_avatars_frames(name, client, judge):
    avatar = judge(name)
    head, frames = backgrounds(client, name, jpeg_quality=90)
    assert (head.height, head.width) == avatar.frames[0].shape[:2]
    assert head.ping_pong == (conftest.BUNDLES[name].get("order") != "loop")
    for index, frame in frames.items():
        assert pictures.psnr(pictures.decode(frame.jpeg), pictures.jpeg_like(avatar.frames[index], 90)) >= 42
        assert [frame.x0, frame.y0, frame.x1, frame.y1] == list(avatar.boxes[index])


def test_where_nothing_can_be_cut_the_patch_is_the_frame(client, voice):
    head, frames = backgrounds(client, "close-up")
    assert head.restart_interval == 0 and len(frames) == head.frames
    whole = talk.synthesize(client, "close-up", talk.f32(voice[:3000]))
    patches = talk.synthesize(client, "close-up", talk.f32(voice[:3000]), output="OUTPUT_PATCH_JPEG")
    for full, patch in zip(whole, patches, strict=True):
        p = patch.patch
        assert (p.x, p.y, p.width, p.height) == (0, 0, head.width, head.height)
        assert p.jpeg == full.jpeg
    with pytest.raises(grpc.RpcError) as refused:
        talk.synthesize(client, "close-up", talk.f32(voice[:3000]), output="OUTPUT_PATCH_SEGMENTS")
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "OUTPUT_PATCH_JPEG" in refused.value.details()


def test_outputs_that_do_not_exist_are_named(client, voice):
    with pytest.raises(grpc.RpcError) as refused:
        talk.synthesize(client, "plain", talk.f32(voice), output=7)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "output: 7" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        talk.converse(client, talk.start("plain", output=-1))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "start.output" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        backgrounds(client, "nobody")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
