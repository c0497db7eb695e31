#!/bin/sh
# Unpacks NVIDIA's packages from PyPI, checked by hash: what of CUDA 13 and cuDNN the file LIST names goes into TARGET (bin, lib, include), of
# ONNX Runtime its libraries (onnxruntime), and of TensorRT-RTX all there is.
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
# pip takes each tag by itself, and no older ones with it.
platforms=$(printf -- '--platform %s_x86_64 ' manylinux2010 manylinux2014 manylinux_2_25 manylinux_2_27 manylinux_2_28)
# shellcheck disable=SC2086 # Options, split on purpose.
"$python" -m pip download --quiet --no-deps --only-binary=:all: $platforms --python-version 3.12 --implementation cp \
    --require-hashes --dest "$work" --requirement "$list"
rm -rf "$target"
mkdir -p "$target"
"$python" - "$work" "$target" <<'PYTHON'
import pathlib, shutil, sys, zipfile

work, target = map(pathlib.Path, sys.argv[1:])
homes = {"nvidia/cu13/": "", "nvidia/cudnn/": "", "onnxruntime/capi/lib": "onnxruntime/lib", "tensorrt_rtx_libs/": ""}
for wheel in work.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            home = next((home for home in homes if member.filename.startswith(home)), None)
            if member.is_dir() or home is None:
                continue
            path = target / (homes[home] + member.filename.removeprefix(home))
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            if path.parent.name == "bin":
                path.chmod(0o755)
PYTHON
# Only now: a folder that was interrupted is made again.
cp "$list" "$target/complete"
