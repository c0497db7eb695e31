#!/bin/sh
# Packs what scripts/gpu-check.sh needs on a machine with a GPU into out/gpu-check: the release binary and the tests that want a GPU,
# stripped. Run on a machine with Rust; copy the repository with out/gpu-check there.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
out=out/gpu-check
mkdir -p "$out"
# PROFILE=dev is quicker to build, for a look.
profile=${PROFILE:-release}
$cargo build --profile "$profile" --locked
cp "target/$([ "$profile" = dev ] && echo debug || echo "$profile")/lipsyncd" "$out/lipsyncd"
for test in conformance gpu_frames gpu_soak gpu_faults allocations kernels gpu_nvjpeg; do
    program=$($cargo test --locked --no-run --test "$test" --message-format json 2>/dev/null |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p')
    cp "$program" "$out/$test"
done
strip "$out"/*
ls -l "$out"
