"""What a long avatar of large frames takes: memory, and time to load without and with `template_cache`.

    LIPSYNCD_BIN=target/release/lipsyncd python benches/avatar_memory.py

The demo avatar, or another bundle, is enlarged to 523 frames of 1920x1080, ping-pong, no two alike, and a daemon
preloads it three times: without a cache, with an empty one, and with that one filled. What a daemon of 10 such frames
takes is subtracted from its resident memory, so that ONNX Runtime and the networks' working memory are not counted to
the pictures. Anonymous memory is what the system cannot take back; a cache is mapped, and its pages can go. The file
system's cache is warm in every turn. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/python")]

import daemon  # noqa: E402
from PIL import Image  # noqa: E402
from stubs import lipsync, lipsync_grpc  # noqa: E402

FEW = 10
LOADED = re.compile(r"loaded .*seconds=([\d.]+)")


def enlarge(bundle: pathlib.Path, out: pathlib.Path, count: int, size: tuple[int, int]) -> None:
    """`count` frames of `size` in `out`: the bundle's, there and back again, each time by a level brighter or darker."""
    (out / "frames").mkdir(parents=True)
    for file in bundle.glob("*.onnx"):
        shutil.copy(file, out)
    shutil.copy(bundle / "avatar.toml", out)
    boxes = json.loads((bundle / "boxes.json").read_text())
    files = sorted((bundle / "frames").iterdir())
    turn = [*range(len(files)), *range(len(files) - 2, 0, -1)]
    enlarged = []
    for index in range(count):
        at, time_round = turn[index % len(turn)], index // len(turn)
        picture = Image.open(files[at]).convert("RGB")
        # Two frames of one turn show the same picture as well: there and back.
        brighter = 2 * time_round + (index % len(turn) >= len(files))
        scale = min(size[0] / picture.width, size[1] / picture.height)
        picture = picture.resize(size, Image.Resampling.BICUBIC).point([min(255, v + brighter) for v in range(256)] * 3)
        picture.save(out / "frames" / f"{index:06d}.jpg", quality=92)
        x0, y0, x1, _ = boxes[at]
        side = round((x1 - x0) * scale)
        x, y = round(x0 * size[0] / Image.open(files[at]).width), round(y0 * size[1] / Image.open(files[at]).height)
        enlarged.append([x, y, x + side, y + side])
    (out / "boxes.json").write_text(json.dumps(enlarged))


def resident(process) -> dict[str, float]:
    """Megabytes of the process in memory now, and of them anonymous."""
    fields = dict(line.split(":") for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return {name: int(fields[field].split()[0]) * 1024 / 1e6 for name, field in (("all", "VmRSS"), ("anon", "RssAnon"))}


def serve(avatars: pathlib.Path, avatar: str, cache: pathlib.Path | None) -> dict:
    """A daemon's memory with the avatar loaded, and how long loading took."""
    more = {"LIPSYNCD_TEMPLATE_CACHE": str(cache)} if cache else {}
    env = {"LIPSYNCD_PRELOAD": avatar, "LIPSYNCD_BACKEND": "cpu", "LIPSYNCD_LOG": "info", **more}
    # What generators make of pictures is another memory, with a bound of its own.
    env["LIPSYNCD_PICTURE_CACHE_BYTES"] = "0"
    with daemon.Daemon(avatars, **env) as running:
        time.sleep(2)
        client = lipsync_grpc.LipSyncStub(running.channel)
        told = client.GetAvatar(lipsync.GetAvatarRequest(avatar_id=avatar)).avatar
        log = re.sub(r"\x1b\[[\d;]*m", "", "".join(running.log))
        return {"resident_MB": resident(running.process), "told_MB": told.resident_bytes / 1e6,
                "seconds": float(LOADED.search(log)[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--avatar", type=pathlib.Path, default=ROOT / "avatars/demo", help="bundle to enlarge")
    parser.add_argument("--frames", type=int, default=523)
    parser.add_argument("--size", default="1920x1080")
    a = parser.parse_args()
    size = tuple(int(side) for side in a.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="lipsyncd-memory-") as name:
        folder = pathlib.Path(name)
        for avatar, count in (("few", FEW), ("many", a.frames)):
            enlarge(a.avatar, folder / "avatars" / avatar, count, size)
        found = {}
        for what, cache in (("no cache", None), ("empty cache", folder / "cache"), ("filled cache", folder / "cache")):
            # Both are in the filled cache by then.
            few, many = (serve(folder / "avatars", avatar, cache) for avatar in ("few", "many"))
            found[what] = {
                "seconds": many["seconds"], "told_MB": many["told_MB"],
                **{f"{kind}_MB": mb - few["resident_MB"][kind] for kind, mb in many["resident_MB"].items()},
                "daemon_MB": many["resident_MB"]["all"],
            }
    raw = a.frames * size[0] * size[1] * 3 / 1e6
    print(f"{a.frames} frames of {a.size}: {raw:.0f} MB as raw pixels")
    for what, f in found.items():
        print(f"{what}: loaded in {f['seconds']:.2f} s; {f['told_MB']:.1f} MB by GetAvatar; resident beyond a daemon with "
              f"{FEW} frames {f['all_MB']:.1f} MB, anonymous {f['anon_MB']:.1f} MB; whole process {f['daemon_MB']:.0f} MB")
    print(json.dumps({"raw_MB": raw, **found}))


if __name__ == "__main__":
    main()
