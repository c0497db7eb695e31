#!/bin/sh
# Unpacks TensorRT-RTX's two libraries from their PyPI wheel, checked by hash, into the folder named as argument.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
target=$1
if [ -f "$target/libtensorrt_onnxparser_rtx.so.1" ]; then
    exit 0
fi
echo "fetching TensorRT-RTX into $target (95 MB)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux_2_28_x86_64 \
    --require-hashes --dest "$work" --requirement "$here/tensorrt-rtx.txt"
mkdir -p "$target"
"$python" - "$work" "$target" <<'PYTHON'
import pathlib, shutil, sys, zipfile

work, target = map(pathlib.Path, sys.argv[1:])
(wheel,) = work.glob("tensorrt_rtx*.whl")
with zipfile.ZipFile(wheel) as archive:
    # The parser last: the folder counts as complete when it is there.
    for name in ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"):
        part = target / f"{name}.part"
        with archive.open(f"tensorrt_rtx_libs/{name}") as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        part.rename(target / name)
PYTHON
