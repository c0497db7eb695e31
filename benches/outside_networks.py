"""What part of the processor time is spent outside the networks: `synth`, and a daemon under `lipsyncd bench`.

    LIPSYNCD_BIN=target/release/lipsyncd python benches/outside_networks.py --seconds 60

Needs Linux perf. A sample is the networks' when ONNX Runtime is among its callers, so that copies and page faults that
it causes are counted to it. Loading is part of `synth`; the daemon is watched once the avatar is loaded. Shares of
samples hardly depend on what else the machine does. The last line is JSON.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/python"), str(ROOT / "engines/networks"), str(ROOT / "benches")]

import compare  # noqa: E402
import daemon  # noqa: E402
import standin  # noqa: E402

# Deep enough for ONNX Runtime's own stack; a prime, so as not to beat with 25 frames a second.
RECORD = ["perf", "record", "--quiet", "--freq", "97", "--call-graph", "dwarf,16384"]
PARTS = (
    ("networks", re.compile(r"libonnxruntime")),
    ("loading", re.compile(r"LoadedAvatar::load|Bundle::open|CpuBackend::new")),
    ("JPEG", re.compile(r"turbojpeg|jsimd_|tj3|encode_mcu|forward_DCT|jpeg_|compress_data")),
    ("crop and picture input", re.compile(r"Unpacker|PictureInput|ZSTD|HUF_")),
    ("strip", re.compile(r"StripCompositor|Compositor|resize::|planes::")),
    ("splice", re.compile(r"template::")),
    ("gRPC and network", re.compile(r"tonic|h2::|hyper|tokio|tcp_")),
)


def shares(recording: pathlib.Path) -> dict[str, float]:
    """Part of the samples by what they are for."""
    script = ["perf", "script", "--input", recording, "--no-inline", "--fields", "comm,tid,ip,sym,dso"]
    text = subprocess.run(script, check=True, capture_output=True, text=True, errors="replace").stdout
    counts: collections.Counter[str] = collections.Counter()
    for sample in text.split("\n\n"):
        _, *chain = sample.strip().split("\n")
        if chain:
            callers = "\n".join(chain)
            counts[next((part for part, known in PARTS if known.search(callers)), "other")] += 1
    total = sum(counts.values())
    return {part: count / total for part, count in counts.most_common()} | {"samples": total}


def of_synth(bundle: pathlib.Path, wav: pathlib.Path, folder: pathlib.Path) -> dict[str, float]:
    recording = folder / "synth.data"
    synth = [daemon.binary(), "synth", "--avatar", bundle, "--audio", wav, "--out", folder / "frames"]
    subprocess.run([*RECORD, "--output", recording, *synth], check=True, env=daemon.environment())
    return shares(recording)


def of_daemon(bundle: pathlib.Path, seconds: float, folder: pathlib.Path) -> dict[str, float]:
    recording = folder / "daemon.data"
    with daemon.Daemon(bundle.parent, LIPSYNCD_PRELOAD=bundle.name, LIPSYNCD_UTILISATION_PERCENT="0") as served:
        load = ["bench", "--target", f"http://{served.address}", "--streams", "4", "--seconds", str(seconds + 60)]
        bench = subprocess.Popen([daemon.binary(), *load], env=daemon.environment(), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        # Its first frames come once all streams have sent enough sound.
        time.sleep(5)
        perf = [*RECORD, "--output", recording, "--pid", str(served.process.pid), "sleep", str(seconds)]
        subprocess.run(perf, check=True)
        bench.kill()
        bench.wait()
    return shares(recording)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of speech, and of bench")
    parser.add_argument("--width", default="full", help="of the bundle made here: full, mobile or tiny")
    parser.add_argument("--avatar", type=pathlib.Path, help="measure this bundle instead")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lipsyncd-perf-") as name:
        folder = pathlib.Path(name)
        bundle = a.avatar.resolve() if a.avatar else folder / "avatars" / "full"
        if not a.avatar:
            standin.make_standin(bundle, width=a.width)
        wav = compare.speech_file(folder, a.seconds)
        found = {"synth": of_synth(bundle, wav, folder), "daemon": of_daemon(bundle, a.seconds, folder)}
    for what, parts in found.items():
        outside = 1 - parts["networks"]
        print(f"{what}: {100 * outside:.2f} % outside the networks, of {parts['samples']} samples (at most 2)")
        for part, share in parts.items():
            if part not in ("networks", "samples"):
                print(f"    {100 * share:.2f} % {part}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
