"""How many live viewers the demo avatar has on this machine, beside what its networks alone allow.

    python benches/live.py --seconds 300

On a daemon with one lane a core, with `lipsyncd bench` as the viewers:
  bare       frames/s of the two networks alone through onnxruntime in Python,
             one single-threaded session a core; once more after all others,
             since shared machines wander
  capacity   the most streams that speak all the time with < 0.1 % misses, and
             how they fare for --seconds
  refused    as many as the daemon lets in, asked for at once with three more,
             and then one more and one more: how soon those are refused, and
             how the others fare
  duty       2.5 times as many calls with idle frames that speak 30 % of the
             time, their audio from a synthesiser and from a microphone
  saving     what the daemon takes of the machine at 20, 30 and 50 % speech
             with idle frames, over what it takes at 100 %
  interrupts ten a minute of speech: from an interrupt to the next utterance's
             first frame
The last line is JSON. Timings of a machine that does other things at the same
time tell nothing: look at `uptime` first.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests/python")]

import compare  # noqa: E402
import daemon  # noqa: E402

AVATAR = "demo"


def bench(server: daemon.Daemon, *arguments, seconds: float) -> dict:
    """One run of the load generator; its line."""
    command = ["bench", "--target", f"http://{server.address}", "--avatar", AVATAR, "--seconds", seconds, "--realtime"]
    done = daemon.run(*command, *arguments, timeout=60 * 60, expect=None)
    return json.loads(done.stdout.strip().splitlines()[-1])


def told(name: str, line: dict) -> dict:
    """What matters of a line."""
    first = line["first_frame_after_sound_ms"] or {}
    figures = {
        "streams": line["streams"]["held"], "miss_percent": line["miss_percent"],
        "idle_miss_percent": (line.get("idle") or {}).get("miss_percent"),
        "frames_per_second": line["frames"]["per_second"],
        "first_frame_after_sound_ms": {q: first.get(q) for q in ("p50", "p95", "p99")},
        "server_cores": line["cpu"]["server_cores"], "client_cores": line["cpu"]["client_cores"],
    }
    print(f"{name:<22} " + "  ".join(f"{key} {value}" for key, value in figures.items()), file=sys.stderr)
    return figures


def bare_frames_per_second() -> float:
    """Of the encoder and the generator together, once a frame each."""
    frames = 400
    networks = compare.Networks(ROOT / "avatars" / AVATAR, frames, frames)
    way = f"{compare.CORES} sessions on 1 core"
    return max(frames / networks.seconds(way) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each run; a search takes a fifth of that a try")
    parser.add_argument("--only", nargs="*", help="of the steps above; bare and capacity are always there")
    a = parser.parse_args()
    wanted = lambda step: not a.only or step in a.only  # noqa: E731
    everybody = {"LIPSYNCD_PRELOAD": AVATAR, "LIPSYNCD_UTILISATION_PERCENT": "0", "LIPSYNCD_BACKEND": "cpu"}
    result = {"cores": compare.CORES, "load_before": os.getloadavg()[0], "seconds": a.seconds}
    print(f"load {os.getloadavg()}", file=sys.stderr)

    bare = bare_frames_per_second()
    result["bare_frames_per_second"], result["bare_streams"] = round(bare, 1), round(bare / 25, 2)
    print(f"bare {bare:.1f} frames/s = {bare / 25:.2f} streams", file=sys.stderr)
    with daemon.Daemon(ROOT / "avatars", **everybody) as server:
        least = max(1, math.floor(bare / 25 * 0.9))
        found = bench(server, "--find-capacity", "--streams", least, seconds=max(10, a.seconds / 5))
        streams = max(1, found["capacity"]["streams"])
        result["capacity"] = {"streams": streams, **told("capacity", bench(server, "--streams", streams, seconds=a.seconds))}
        result["capacity_over_bare"] = round(streams / (bare / 25), 3)
        parts = bench(server, "--streams", streams, seconds=min(60, a.seconds))["first_frame_parts_ms"]
        result["first_frame_parts_p95_ms"] = {part: times["p95"] for part, times in parts.items()}
        print(f"first frames, p95 ms: {result['first_frame_parts_p95_ms']}", file=sys.stderr)
        if wanted("duty"):
            many = math.ceil(2.5 * streams)
            calls = ["--streams", many, "--duty", 0.3, "--idle-frames"]
            for source, speed in (("synthesiser", 4), ("microphone", 1)):
                line = bench(server, *calls, "--audio-speed", speed, seconds=a.seconds)
                result[f"duty_30_{source}"] = told(f"30 % speech, {source}", line)
        if wanted("saving"):
            full = told("100 % speech", bench(server, "--streams", streams, seconds=min(60, a.seconds)))
            for percent in (20, 30, 50):
                line = bench(server, "--streams", streams, "--duty", percent / 100, "--idle-frames", seconds=a.seconds)
                figures = told(f"{percent} % speech, idle", line)
                result[f"cores_at_{percent}_over_100"] = round(figures["server_cores"] / full["server_cores"], 3)
        if wanted("interrupts"):
            line = bench(server, "--streams", max(1, streams - 1), "--interrupts", 10, seconds=a.seconds)
            told("ten interrupts a minute", line)
            result["interrupts"] = line["interrupts"]
    if wanted("refused"):
        with daemon.Daemon(ROOT / "avatars", **{**everybody, "LIPSYNCD_UTILISATION_PERCENT": "95"}) as server:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                running = pool.submit(bench, server, "--streams", streams + 3, seconds=a.seconds)
                time.sleep(a.seconds / 4)
                more = [bench(server, "--streams", 1, seconds=1) for _ in range(max(5, int(a.seconds / 5)))]
                line = running.result()
            times = sorted(one["refusal_ms"]["max"] for one in more if one.get("refusal_ms"))
            result["refused"] = {**told("let in", line), "at_once": line["refusal_ms"], "one_more_asked": len(more), "one_more_ms": times}
            print(f"one more: {len(times)} of {len(more)} refused, in {times} ms", file=sys.stderr)
    after = bare_frames_per_second()
    result["bare_frames_per_second_after"], result["load_after"] = round(after, 1), os.getloadavg()[0]
    print(f"bare, after all that: {after:.1f} frames/s", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
