#!/bin/sh
# Unpacks NVIDIA's packages from PyPI, checked by hash: what of CUDA 13 the file LIST names goes into TARGET (bin, lib, include).
#   scripts/nvidia.sh LIST TARGET
set -eu
list=$1 target=$2
python=${PYTHON:-python3}
if [ -f "$target/complete" ] && cmp -s "$target/complete" "$list"; then
    exit 0
fi
echo "fetching NVIDIA's packages of $list into $target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux_2_25_x86_64 \
    --platform manylinux_2_28_x86_64 --require-hashes --dest "$work" --requirement "$list"
rm -rf "$target"
mkdir -p "$target"
"$python" - "$work" "$target" <<'PYTHON'
import pathlib, shutil, sys, zipfile

work, target = map(pathlib.Path, sys.argv[1:])
inside = "nvidia/cu13/"
for wheel in work.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.startswith(inside):
                continue
            path = target / member.filename.removeprefix(inside)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            if path.parent.name == "bin":
                path.chmod(0o755)
PYTHON
# Only now: a folder that was interrupted is made again.
cp "$list" "$target/complete"
