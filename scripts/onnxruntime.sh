#!/bin/sh
# Fetches ONNX Runtime's shared library from its PyPI wheel, checked by hash, into the cache where
# lipsyncd looks for it. The wheel of one Python version serves all: only the library is used.
set -eu
version=1.32.0
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
target=${XDG_CACHE_HOME:-$HOME/.cache}/lipsyncd/onnxruntime-$version
library=$target/libonnxruntime.so.$version
if [ -f "$library" ]; then
    exit 0
fi
echo "fetching ONNX Runtime $version into $target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
    --platform "manylinux_2_28_$(uname -m)" --require-hashes --dest "$work" --requirement "$here/onnxruntime.txt"
"$python" - "$work" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("onnxruntime-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [n for n in archive.namelist() if n.startswith("onnxruntime/capi/libonnxruntime.so.")]
    (work / "library").write_bytes(archive.read(name))
PYTHON
mkdir -p "$target"
# Renamed into place, so that a broken fetch is never taken for a library.
mv "$work/library" "$library.part"
mv "$library.part" "$library"
