"""The Prometheus page, its figures, and that dashboard and alerts name only what is on it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import daemon
import grpc
import promql_parser
import pytest
import stubs
import talk
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from stubs import lipsync, monolithic

DEPLOY = daemon.ROOT / "deploy"
# Measured when an avatar is loaded; not there before.
CAPACITY = {"lipsyncd_capacity_sessions", "lipsyncd_capacity_frames_per_second"}
# Of a GPU.
GPU_ONLY = {"lipsyncd_device_memory_bytes"}


class Page:
    """One reading: `page("lipsyncd_frames_total", avatar="plain")`."""

    def __init__(self, text: str):
        self.text = text
        families = list(text_string_to_metric_families(text))
        assert all(family.documentation for family in families)
        self.samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}
        self.names = {name for name, _ in self.samples} | {f.name for f in families}

    def __call__(self, metric: str, **labels) -> float:
        return self.samples[metric, tuple(sorted(labels.items()))]

    def has(self, metric: str, **labels) -> bool:
        return (metric, tuple(sorted(labels.items()))) in self.samples


class Metered(daemon.Daemon):
    def __init__(self, avatars, **env):
        super().__init__(avatars, LIPSYNCD_METRICS="127.0.0.1:0", **env)
        line = next(line for line in self.log if "metrics on " in line)
        self.metrics = re.sub(r"\x1b\[[\d;]*m", "", line).rsplit(" ", 1)[1].strip()
        self.client = stubs.lipsync_grpc.LipSyncStub(self.channel)
        self.old_client = stubs.monolithic_grpc.MonolithicServiceStub(self.channel)

    def get(self, path="/metrics", method="GET"):
        request = urllib.request.Request(f"http://{self.metrics}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def page(self) -> Page:
        status, headers, text = self.get()
        assert status == 200
        assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return Page(text)

    def settled(self) -> Page:
        """The page once no session is left."""
        for _ in range(100):
            page = self.page()
            if page("lipsyncd_sessions") == 0 and sum(
                page("lipsyncd_sessions_in_state", state=s) for s in ("idle", "speaking", "finishing")
            ) == 0:
                return page
            time.sleep(0.05)
        raise AssertionError("sessions are left: " + page.text)


@pytest.fixture(scope="module")
def metered(avatars):
    with Metered(avatars, LIPSYNCD_MAX_SESSIONS="2", LIPSYNCD_SLOTS="2") as running:
        yield running


def test_every_frame_and_call_is_counted(metered, voice):
    """Exactly: what the client received is what the page says."""
    frames = talk.synthesize(metered.client, "plain", talk.f32(voice))
    answers = talk.converse(metered.client, talk.start("single"), talk.audio(talk.f32(voice[:8000])), talk.end())
    live = [a.frame for a in answers if a.HasField("frame")]
    batch = metered.old_client.InferBatchComposite(monolithic.CompositeBatchRequest(
        model_id="plain", raw_audio=talk.f32(voice), batch_size=4))
    assert batch.success, batch.error

    page = metered.settled()
    assert page("lipsyncd_frames_total", avatar="plain") == len(frames) + 4
    assert page("lipsyncd_frames_total", avatar="single") == len(live) == 13
    sent = sum(len(f.jpeg) for f in [*frames, *live]) + sum(map(len, batch.composited_frames))
    assert page("lipsyncd_sent_bytes_total") == sent
    for kind in ("whole", "live", "monolithic"):
        assert page("lipsyncd_sessions_ended_total", kind=kind, end="done") == 1
    assert page("lipsyncd_first_frame_seconds_count") == 3
    # The compatible service stops listening once it has its frames; the others take everything.
    assert page("lipsyncd_audio_seconds_total") >= (len(voice) + 8000) / 16000 - 1e-6
    assert page("lipsyncd_batch_size_sum", device="cpu", kind="frame") == page("lipsyncd_batch_size_count", device="cpu", kind="frame")
    for kind, stage in (("window", "encode"), ("frame", "generate"), ("frame", "composite")):
        assert page("lipsyncd_stage_seconds_count", device="cpu", stage=stage) == page("lipsyncd_batches_total", device="cpu", kind=kind) > 0
    assert page("lipsyncd_queue_wait_seconds_count", device="cpu", kind="frame") >= len(frames) + len(live) + 4
    assert page("lipsyncd_avatar_loads_total", result="loaded") == page("lipsyncd_avatars_loaded") == 2
    assert page("lipsyncd_lanes", device="cpu") == 2 and page("lipsyncd_lanes_busy", device="cpu") == 0
    assert page("lipsyncd_pool_buffers", state="lent") == 0
    lived = time.time() - page("process_start_time_seconds")
    assert 0 < page("lipsyncd_lane_busy_seconds_total", device="cpu") < page("lipsyncd_lanes", device="cpu") * lived


def test_refusals_interrupts_and_cancelled_calls(metered, voice):
    before = metered.settled()
    with pytest.raises(grpc.RpcError):
        talk.synthesize(metered.client, "nobody", talk.f32(voice))
    with pytest.raises(grpc.RpcError):
        talk.synthesize(metered.client, "plain", b"")
    talks = [talk.Conversation(metered.client, talk.start("plain")) for _ in range(2)]
    for one in talks:
        assert next(one.call).HasField("started")
    page = metered.page()
    assert page("lipsyncd_sessions") == page("lipsyncd_sessions_in_state", state="idle") == 2
    with pytest.raises(grpc.RpcError) as refused:
        talk.synthesize(metered.client, "plain", talk.f32(voice))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    talks[0].send(talk.audio(talk.f32(voice)))
    assert next(talks[0].call).HasField("frame")
    assert metered.page()("lipsyncd_sessions_in_state", state="speaking") == 1
    talks[0].send(talk.interrupt())
    while not next(talks[0].call).HasField("interrupted"):
        pass
    for one in talks:
        one.call.cancel()
    after = metered.settled()

    def grown(metric, **labels):
        return after(metric, **labels) - before(metric, **labels)

    assert {r: grown("lipsyncd_refusals_total", reason=r) for r in ("unknown_avatar", "bad_request", "full")} == {
        "unknown_avatar": 1, "bad_request": 1, "full": 1}
    assert grown("lipsyncd_interrupts_total") == 1
    assert grown("lipsyncd_sessions_ended_total", kind="live", end="cancelled") == 2


def test_warm_lanes_do_not_allocate(metered, voice):
    """Once both lanes have met the avatar, frames cost no heap allocation in the running daemon."""
    def speak():
        for _ in range(6):
            talk.synthesize(metered.client, "plain", talk.f32(voice))
        return metered.settled()("lipsyncd_heap_allocations_since_warmup", device="cpu")

    speak()
    assert speak() == speak()


def test_an_unloaded_avatar_leaves_the_page(metered, voice):
    talk.synthesize(metered.client, "odd", talk.f32(voice[:2000]))
    assert metered.page()("lipsyncd_resident_bytes", avatar="odd") > 0
    metered.client.UnloadAvatar(lipsync.UnloadAvatarRequest(avatar_id="odd"))
    assert 'avatar="odd"' not in metered.page().text


def test_the_port_serves_two_paths_and_nothing_else(metered):
    status, headers, body = metered.get(method="HEAD")
    assert (status, body) == (200, "") and int(headers["Content-Length"]) > 1000
    assert metered.get("/healthz")[::2] == (200, "serving\n")
    assert metered.get("/")[0] == metered.get("/metrics/x")[0] == 404
    assert metered.get("/metrics", "POST")[0] == 405


def test_clients_that_say_nothing_do_not_block_the_port(metered):
    """All places taken by silent clients are free again within seconds, and gRPC never notices."""
    host, port = metered.metrics.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port))) for _ in range(40)]
    assert metered.client.GetStats(lipsync.GetStatsRequest(), timeout=5).slots == 2
    deadline = time.monotonic() + 20
    while True:
        try:
            assert metered.get("/healthz")[0] == 200
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    for connection in silent:
        connection.close()


def test_an_address_that_is_taken_is_named(avatars):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = daemon.run("serve", expect=1, env=dict(
            LIPSYNCD_LISTEN="127.0.0.1:0", LIPSYNCD_AVATARS=str(avatars), LIPSYNCD_METRICS=address))
    assert f"metrics: {address}: Address already in use" in done.output


def panels() -> list[dict]:
    return json.loads((DEPLOY / "grafana/lipsyncd.json").read_text())["panels"]


def alerts() -> list[dict]:
    groups = yaml.safe_load((DEPLOY / "prometheus/lipsyncd.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> dict[str, list[str]]:
    """What the dashboard and the rules ask Prometheus, by file."""
    return {"dashboard": [target["expr"] for panel in panels() for target in panel["targets"]],
            "rules": [alert["expr"] for alert in alerts()]}


def named_metrics() -> dict[str, set[str]]:
    """Metric names in these, by file."""
    word = re.compile(r"\b(?:lipsyncd|process)_[a-z_]+\b")
    return {file: set(word.findall(" ".join(asked))) for file, asked in expressions().items()}


@pytest.mark.parametrize("file", ["dashboard", "rules"])
def test_dashboard_and_alerts_name_only_what_is_there(file, metered):
    named = named_metrics()[file]
    assert len(named) > 5
    assert named - CAPACITY - GPU_ONLY - metered.page().names == set()


@pytest.mark.parametrize("file", ["dashboard", "rules"])
def test_what_dashboard_and_alerts_ask_is_promql(file):
    """By a parser that knows the types of Prometheus' functions."""
    with pytest.raises(ValueError):
        promql_parser.parse("rate(lipsyncd_frames_total)")
    for asked in expressions()[file]:
        promql_parser.parse(asked.replace("$__rate_interval", "1m"))


def test_alerts_say_for_how_long_how_urgent_and_what():
    for alert in alerts():
        assert set(alert) - {"for"} == {"alert", "expr", "labels", "annotations"}, alert
        assert promql_parser.parse_duration(alert.get("for", "1m")).total_seconds() >= 60
        assert alert["labels"]["severity"] in ("page", "warn") and alert["annotations"]["summary"]


def test_a_panel_whose_queries_differ_in_unit_has_an_axis_for_each():
    for panel in panels():
        units = {unit for unit in ("bytes", "seconds") for target in panel["targets"] if f"_{unit}" in target["expr"]}
        if len(units) > 1:
            overridden = [p for override in panel["fieldConfig"]["overrides"] for p in override["properties"]]
            assert {"id": "custom.axisPlacement", "value": "right"} in overridden, panel["title"]


def test_every_metric_is_documented(metered):
    text = (daemon.ROOT / "docs/operations.md").read_text()
    families = {line.split()[2] for line in metered.page().text.splitlines() if line.startswith("# TYPE")}
    assert {name for name in families if f"`{name}" not in text and not name.startswith("process_")} == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not on PATH")
def test_promtool_accepts_configuration_and_rules():
    done = subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=DEPLOY / "prometheus",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
