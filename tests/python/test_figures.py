"""What `lipsync.v1.LipSync` says of its avatars and of itself, with health and reflection."""

import conftest
import grpc
import pytest
import talk
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from stubs import lipsync


def test_avatars_are_listed_loaded_and_freed(client, avatars):
    listed = {a.avatar_id: a for a in client.ListAvatars(lipsync.ListAvatarsRequest()).avatars}
    assert set(listed) == set(conftest.BUNDLES)
    assert not any(a.faults for a in listed.values())

    loaded = client.LoadAvatar(lipsync.LoadAvatarRequest(avatar_id="large-box")).avatar
    assert (loaded.loaded, loaded.width, loaded.height, loaded.fps, loaded.frames) == (True, 720, 810, 25, 2)
    assert loaded.name == "random 14"
    # Two crops of 328 x 328 BGR, packed, and templates of two frames of 720 x 810: a small part of their pixels.
    pixels = 2 * 3 * (328 * 328 + 720 * 810)
    assert pixels / 30 < loaded.resident_bytes < pixels / 4
    again = client.LoadAvatar(lipsync.LoadAvatarRequest(avatar_id="large-box"))
    assert again.load_ms == 0
    assert client.GetAvatar(lipsync.GetAvatarRequest(avatar_id="large-box")).avatar.loaded

    client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="large-box"))
    freed = client.GetAvatar(lipsync.GetAvatarRequest(avatar_id="large-box")).avatar
    assert (freed.loaded, freed.resident_bytes) == (False, 0)


def test_stats_count(client, voice):
    before = client.GetStats(lipsync.GetStatsRequest())
    frames = talk.synthesize(client, "single", talk.f32(voice))
    after = client.GetStats(lipsync.GetStatsRequest())
    assert after.backend == "cpu" and after.version and after.slots >= 2
    assert after.uptime_ms >= before.uptime_ms > 0
    assert after.sessions_total == before.sessions_total + 1
    assert after.frames_total == before.frames_total + len(frames)
    assert after.batches_total > before.batches_total
    assert after.windows_total > before.windows_total
    mine = next(a for a in after.avatars if a.avatar_id == "single")
    assert mine.frames_total >= len(frames) and mine.resident_bytes > 0
    assert mine.generate_ms_mean > 0 and mine.composite_ms_mean > 0 and mine.last_used_unix_s > 1_700_000_000


@pytest.mark.parametrize("service", ["", "lipsync.v1.LipSync", "monolithic.MonolithicService"])
def test_health(service, server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    with pytest.raises(grpc.RpcError) as refusal:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection(server):
    database = ProtoReflectionDescriptorDatabase(server.channel)
    assert {"lipsync.v1.LipSync", "monolithic.MonolithicService"} <= set(database.get_services())
    described = database.FindFileContainingSymbol("lipsync.v1.LipSync")
    assert "Converse" in [m.name for s in described.service for m in s.method]
