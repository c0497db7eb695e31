#!/bin/sh
# Compiles the kernels for every architecture with the nvcc given, prints what each needs, and fails where registers spill.
#   scripts/kernels.sh NVCC
set -eu
cd "$(dirname "$0")/.."
nvcc=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A unit for an architecture is one process; as many at a time as there are cores.
for sm in $(cat kernels/architectures); do
    echo "$sm all"
    echo "$sm native/all"
done | NVCC="$nvcc" WORK="$work" xargs -P "$(nproc)" -L 1 sh -c '
    report=$WORK/$1-$(basename "$(dirname "$2")")
    "$NVCC" -cubin -O3 --fmad=false -I kernels -arch="sm_$1" --resource-usage -Werror all-warnings \
        -o "$report.cubin" "kernels/$2.cu" >"$report" 2>&1 || { cat "$report" >&2; exit 255; }' compile
for sm in $(cat kernels/architectures); do
    for unit in all native/all; do
        report=$work/$sm-$(basename "$(dirname "$unit")")
        awk -v sm="$sm" '
        /Compiling entry function/ { split($0, name, "\047"); kernel = name[2] }
        /bytes stack frame/ { stack = $1; spills = $5 + $9 }
        /Used [0-9]+ registers/ {
            registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
            printf "sm_%-4s %-22s %3d registers, %d bytes of stack, %d of spills\n", sm, kernel, registers, stack, spills
            kernels++
            if (spills > 0) spilled = 1
        }
        END {
            if (kernels == 0) { print "nvcc told nothing of any kernel" > "/dev/stderr"; exit 1 }
            if (spilled) { print "registers spill: see above" > "/dev/stderr"; exit 1 }
        }' "$report"
    done
done
