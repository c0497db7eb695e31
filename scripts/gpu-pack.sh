#!/bin/sh
# Packs what scripts/gpu-check.sh needs on a machine with a GPU into out/gpu-check: the release binary and the tests that want a GPU,
# stripped, and the libraries that a driver alone lacks. Run on a machine with Rust, after `make bench-avatar`; copy the repository with out/ there.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
out=out/gpu-check
mkdir -p "$out"
# Copies the program of a test or bench target. One call of cargo each: all at once, it would build what is not needed here.
take() {
    program=$($cargo test --locked --no-run "$1" "$2" --message-format json 2>/dev/null |
        sed -n '/"kind":\["'"${1#--}"'"\]/s/.*"executable":"\([^"]*\)".*/\1/p')
    cp "$program" "$out/$3"
}
for test in conformance gpu kernels allocations; do
    take --test "$test" "$test"
done
take --bench gpu_native bench_native
# QUICK=1 takes the program that cargo built beside the tests, for a look; its times mean nothing.
if [ -n "${QUICK:-}" ]; then
    cp target/debug/lipsyncd "$out/lipsyncd"
else
    $cargo build --release --locked
    cp target/release/lipsyncd "$out/lipsyncd"
fi
# RTX=1 adds a program with TensorRT-RTX and its libraries.
if [ -n "${RTX:-}" ]; then
    $cargo build --release --locked --features tensorrt-rtx
    cp target/release/lipsyncd "$out/lipsyncd-rtx"
    $cargo build --release --locked
    PYTHON=${PYTHON:-python3} scripts/nvidia.sh scripts/tensorrt-rtx.txt "$out/tensorrt-rtx"
fi
# What records kernels, and the CUPTI it is built for, which is as new as the oldest driver that the kernels want.
cupti=.cache/cupti
PYTHON=${PYTHON:-python3} scripts/nvidia.sh scripts/cupti.txt "$cupti"
cc -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -o "$out/libgpu-gaps.so" scripts/gpu-gaps.c \
    -I"$cupti/include" -I.cache/nvcc/include -L"$cupti/lib" -l:libcupti.so.13 -Wl,-rpath,'$ORIGIN'
cp "$cupti/lib/libcupti.so.13" "$out"
find "$out" -maxdepth 1 -type f -exec strip {} +
# LIBRARIES=0 leaves out ONNX Runtime's CUDA provider, cuDNN, CUDA's libraries and compute-sanitizer, 1.8 GB, for a machine that has them.
rm -rf "$out/lib" "$out/bin" "$out/onnxruntime"
if [ "${LIBRARIES:-1}" != 0 ]; then
    libraries=.cache/gpu-libraries
    PYTHON=${PYTHON:-python3} scripts/nvidia.sh scripts/gpu-libraries.txt "$libraries"
    cp -R "$libraries/lib" "$libraries/bin" "$libraries/onnxruntime" "$out"
fi
ls -l "$out"
