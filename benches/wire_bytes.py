"""What splicing costs on the wire: the bytes of `synth`'s JPEGs beside those of the same pictures encoded whole.

    LIPSYNCD_BIN=target/release/lipsyncd python benches/wire_bytes.py

Each frame is made twice, spliced as JPEG and lossless as PNG; the PNG is encoded by Pillow's libjpeg-turbo with the same
quality, 4:2:0, the standard Huffman tables and no restart markers. Bundles: the demo avatar, the benchmarks' stand-in, a
random one of noise, and those named with --avatar. Nothing is timed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/python"), str(ROOT / "engines/networks")]

import daemon  # noqa: E402
import sounds  # noqa: E402
import standin  # noqa: E402
from PIL import Image  # noqa: E402

QUALITY = 75


def whole(png: pathlib.Path) -> int:
    """Bytes of the picture as one JPEG without restart markers."""
    out = io.BytesIO()
    Image.open(png).convert("RGB").save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=False)
    return len(out.getvalue())


def growth(bundle: pathlib.Path, wav: pathlib.Path, folder: pathlib.Path) -> dict[str, float]:
    for form in ("jpg", "png"):
        daemon.run("synth", "--avatar", bundle, "--audio", wav, "--out", folder / form, "--format", form,
                   "--quality", QUALITY, timeout=600)
    spliced = sum(file.stat().st_size for file in (folder / "jpg").iterdir())
    pngs = sorted((folder / "png").iterdir())
    full = sum(map(whole, pngs))
    return {"frames": len(pngs), "whole_bytes": full / len(pngs), "spliced_bytes": spliced / len(pngs),
            "growth_percent": 100 * (spliced / full - 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--avatar", type=pathlib.Path, action="append", default=[], help="a further bundle")
    parser.add_argument("--seconds", type=float, default=4)
    a = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsyncd-wire-") as name:
        folder = pathlib.Path(name)
        wav = sounds.write(folder / "speech.wav", sounds.speech(a.seconds, seed=1))
        standin.make_standin(folder / "stand-in", width="tiny")
        standin.make_bundle(folder / "noise", seed=5, frame_size=(1280, 720), box_sizes=(240, 260))
        for bundle in (ROOT / "avatars/demo", folder / "stand-in", folder / "noise", *a.avatar):
            (folder / f"of {bundle.name}").mkdir()
            found[bundle.name] = growth(bundle, wav, folder / f"of {bundle.name}")
    for bundle, f in found.items():
        print(f"{bundle}: {f['whole_bytes']:.0f} bytes a frame whole, {f['spliced_bytes']:.0f} spliced, "
              f"+{f['growth_percent']:.2f} % (at most 1.5)")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
