"""What becomes of loaded avatars while their folder changes, and of the memory that they may take."""

import shutil

import daemon
import grpc
import pytest
import sounds
import stubs
import talk
from PIL import Image
from stubs import lipsync
from test_cluster import wait_for

CODES = grpc.StatusCode


@pytest.fixture
def folder(avatars, tmp_path):
    """A folder of its own, to be changed."""
    shutil.copytree(avatars / "plain", tmp_path / "avatars/plain")
    shutil.copytree(avatars / "single", tmp_path / "avatars/single")
    return tmp_path / "avatars"


def stub(server: daemon.Daemon) -> stubs.lipsync_grpc.LipSyncStub:
    return stubs.lipsync_grpc.LipSyncStub(server.channel)


def refusal(call) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return refused.value


def test_an_avatar_whose_folder_is_gone_can_be_unloaded(folder):
    with daemon.Daemon(folder, LIPSYNCD_PRELOAD="single") as server:
        client = stub(server)
        unload = lambda: client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="single"))  # noqa: E731
        shutil.rmtree(folder / "single")
        unload()
        assert not client.GetStats(lipsync.GetStatsRequest()).avatars
        assert refusal(unload).code() == CODES.NOT_FOUND


def test_pictures_that_were_replaced_are_asked_for_in_vain_until_the_avatar_is_loaded_anew(folder):
    voice = talk.f32(sounds.speech(0.5, seed=4))
    with daemon.Daemon(folder, LIPSYNCD_PRELOAD="plain") as server:
        client = stub(server)
        for picture in (folder / "plain/frames").iterdir():
            Image.open(picture).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(picture)
        assert len(talk.synthesize(client, "plain", voice)) == 13, "what is kept needs no file"
        for call in (lambda: talk.synthesize(client, "plain", voice, jpeg_quality=60),
                     lambda: list(client.GetAvatarFrames(lipsync.GetAvatarFramesRequest(avatar_id="plain", jpeg_quality=60)))):
            error = refusal(call)
            assert error.code() == CODES.FAILED_PRECONDITION, error.details()
            assert "load it again" in error.details()
        client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="plain"))
        assert len(talk.synthesize(client, "plain", voice, jpeg_quality=60)) == 13


def test_avatars_that_are_unloaded_and_watched_still_count(folder):
    load = lambda client: client.LoadAvatar(lipsync.LoadAvatarRequest(avatar_id="plain"))  # noqa: E731
    with daemon.Daemon(folder) as server:
        needed = load(stub(server)).avatar.resident_bytes
    with daemon.Daemon(folder, LIPSYNCD_MAX_RESIDENT_BYTES=str(needed * 5 // 2)) as server:
        client, calls = stub(server), []
        for _ in range(2):
            calls.append(talk.Conversation(client, talk.start("plain")))
            calls[-1].until("started")
            client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="plain"))
        error = refusal(lambda: load(client))
        assert error.code() == CODES.RESOURCE_EXHAUSTED and f"{2 * needed} of max_resident_bytes" in error.details()
        calls.pop().close()
        wait_for("its memory is free", lambda: client.GetStats(lipsync.GetStatsRequest()).sessions == 1)
        load(client)
        calls.pop().close()


def test_an_avatar_that_never_fits_is_not_to_be_asked_for_again(folder):
    with daemon.Daemon(folder, LIPSYNCD_MAX_RESIDENT_BYTES="1000") as server:
        error = refusal(lambda: stub(server).LoadAvatar(lipsync.LoadAvatarRequest(avatar_id="plain")))
        assert error.code() == CODES.FAILED_PRECONDITION and "max_resident_bytes = 1000" in error.details()
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata())
