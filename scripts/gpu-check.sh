#!/bin/sh
# Checks lipsyncd on a machine with an NVIDIA GPU, from a folder that scripts/gpu-pack.sh made: no network, no Rust. Writes the report
# named by REPORT (gpu-check.txt). Steps can be named as arguments; without any, all are done.
#
# ONNX Runtime with its CUDA provider, cuDNN, CUDA's libraries and compute-sanitizer come from the pack. Where it has none: LIPSYNCD_ONNXRUNTIME names the first,
# the others come from LD_LIBRARY_PATH, or from PyTorch's packages where python3 has them.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
report=${REPORT:-gpu-check.txt}
export LIPSYNCD_ROOT="$here"
bin=$here/out/gpu-check
export LIPSYNCD_ONNXRUNTIME="${LIPSYNCD_ONNXRUNTIME:-$bin/onnxruntime}"
if [ -d "$bin/lib" ]; then
    export LD_LIBRARY_PATH="$bin/lib:${LD_LIBRARY_PATH:-}" PATH="$PATH:$bin/bin"
elif nvidia=$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null); then
    export LD_LIBRARY_PATH="$(find "$nvidia" -type d -name lib | tr '\n' ':')${LD_LIBRARY_PATH:-}"
fi
steps=${*:-doctor kernels nvjpeg native conformance frames faults sanitizer allocations soak busy gaps live jpeg bench onnxruntime tensorrt}
# Seconds that a step may take.
limit=300
failed=

say() { printf '%s\n' "$*" >>"$report"; }

# Runs a command under a heading, its output into the report; a failure is noted, and the next step follows.
step() {
    name=$1
    shift
    say "" "== $name" "\$ $(echo "$*" | sed "s|$here/||g")"
    begin=$(date +%s)
    if ! timeout "${LIMIT:-$limit}" "$@" >"$report.part" 2>&1; then
        failed="$failed $name"
        echo "FAILED" >>"$report.part"
    elif grep -q 'test result: ok\. 0 passed' "$report.part"; then
        # A test that was renamed is no pass.
        failed="$failed $name"
        echo "FAILED: there is no such test" >>"$report.part"
    fi
    # Progress of test programs, and noise that names this machine's folders, is left out.
    grep -v -e '^$' -e '^running ' -e 'filtered out' "$report.part" | sed "s|$here/||g" >>"$report"
    say "($(($(date +%s) - begin)) s)"
    rm -f "$report.part"
}

: >"$report"
say "lipsyncd GPU check, $(date -u +%Y-%m-%d)"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >>"$report" 2>&1

# The size that users deploy, with random weights: it comes along, or is made where python3 has numpy and onnx.
full=$here/out/avatars/full
[ -d "$full" ] || step full-size python3 "$here/engines/networks/standin.py" --width full --out "$full"
export LIPSYNCD_NATIVE_ONNX="$full/generator.onnx"

for name in $steps; do
    case $name in
    doctor) step doctor "$bin/lipsyncd" doctor ;;
    kernels) step kernels "$bin/kernels" a_gpu --ignored --nocapture ;;
    nvjpeg) step nvjpeg "$bin/gpu" nvjpeg:: --ignored --nocapture ;;
    native) step native "$bin/gpu" native:: --ignored --nocapture --test-threads 1 ;;
    conformance) step conformance "$bin/conformance" --ignored --test-threads 1 ;;
    frames) step frames "$bin/gpu" frames:: --ignored --nocapture --test-threads 1 ;;
    faults) step faults "$bin/gpu" faults:: --ignored --nocapture --test-threads 1 ;;
    allocations) step allocations "$bin/allocations" cuda ;;
    soak) step soak "$bin/gpu" soak:: --ignored --nocapture ;;
    sanitizer)
        step sanitizer compute-sanitizer --tool memcheck --error-exitcode 1 "$bin/lipsyncd" synth --backend cuda \
            --max-batch 4 --slots 2 --avatar "$here/tests/golden/tiny-avatar" --audio "$here/tests/golden/audio/speech_s16.wav" \
            --out "$here/out/sanitizer"
        ;;
    bench)
        step bench-operations "$bin/bench_native" "$full/generator.onnx"
        for engine in ${ENGINES:-native onnxruntime}; do
            options=${BENCH:-}
            # cuDNN looks for its algorithms anew in each session, some ten seconds long, and every slot of every row has one.
            case "$engine $options" in
            *--batches*) ;;
            onnxruntime*) options="--batches 1,8,32 --contexts 1 $options" limit=600 ;;
            esac
            # shellcheck disable=SC2086 # Options, split on purpose.
            step "bench-$engine" "$bin/lipsyncd" engine bench --gpu-engine "$engine" --avatar "$full" $options
            limit=300
        done
        ;;
    onnxruntime)
        # Its CUDA provider in half precision, which nothing else runs where our own engine knows the network.
        engine=onnxruntime
        step check-$engine "$bin/lipsyncd" engine check --gpu-engine $engine --min-psnr 45 --avatar "$here/avatars/demo"
        step conformance-$engine env LIPSYNCD_GPU_ENGINE=$engine "$bin/conformance" half_precision --ignored --test-threads 1
        step frames-$engine env LIPSYNCD_GPU_ENGINE=$engine "$bin/gpu" frames::half_precision frames::the_gpus_planes \
            --ignored --nocapture --test-threads 1
        ;;
    jpeg)
        # What `jpeg = "auto"` rests on: the same pipeline with strips spliced on the host, and with whole frames by nvJPEG.
        for jpeg in splice nvjpeg; do
            # shellcheck disable=SC2086 # Options, split on purpose.
            step "jpeg-$jpeg" "$bin/lipsyncd" engine bench --jpeg "$jpeg" --avatar "$full" --batches 8,32 --contexts 1 ${BENCH:-}
        done
        ;;
    busy)
        # Share of the time in which a kernel runs, while the whole pipeline is kept busy.
        nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits -lms 100 >"$report.busy" 2>/dev/null &
        sampler=$!
        step busy "$bin/lipsyncd" engine bench --avatar "$full" --batches 32 --contexts 1 --seconds 8
        kill "$sampler"
        say "GPU busy over the last 5 s: $(tail -n 50 "$report.busy" | awk '{s += $1} END {printf "%.1f %%", s / NR}')"
        rm -f "$report.busy"
        ;;
    gaps)
        # When no kernel ran while the pipeline was busy, by CUPTI: for how long, and which kernels took the time.
        export CUDA_INJECTION64_PATH="$bin/libgpu-gaps.so"
        step gaps "$bin/lipsyncd" engine bench --avatar "$full" --batches 32 --contexts 1 --seconds 6
        unset CUDA_INJECTION64_PATH
        ;;
    live)
        # Viewers of a running daemon, as many as STREAMS says at a time.
        LIPSYNCD_LISTEN=127.0.0.1:50061 LIPSYNCD_AVATARS="${full%/*}" LIPSYNCD_PRELOAD=full LIPSYNCD_BACKEND=cuda \
            LIPSYNCD_MAX_SESSIONS=4096 LIPSYNCD_MAX_SESSIONS_PER_CLIENT=4096 "$bin/lipsyncd" serve >"$report.serve" 2>&1 &
        daemon=$!
        patience=60
        until grep -q listening "$report.serve" || [ $((patience -= 1)) -eq 0 ]; do sleep 1; done
        grep ' INFO GPU\| INFO backend\| INFO loaded' "$report.serve" >>"$report"
        for streams in ${STREAMS:-200 300 340}; do
            step "live-$streams" "$bin/lipsyncd" bench --target http://127.0.0.1:50061 --realtime --streams "$streams" --seconds 12
        done
        kill "$daemon"
        wait "$daemon" || { failed="$failed serve" && tail -n 5 "$report.serve" >>"$report"; }
        rm -f "$report.serve"
        ;;
    tensorrt)
        # What TensorRT-RTX makes of this GPU, where the pack has it.
        if [ -x "$bin/lipsyncd-rtx" ]; then
            export LIPSYNCD_TENSORRT="$bin/tensorrt-rtx"
            step tensorrt-doctor "$bin/lipsyncd-rtx" doctor
            before=$failed
            step tensorrt-build "$bin/lipsyncd-rtx" engine build --force --avatar "$here/avatars/demo" --out "$here/out/plans"
            step tensorrt-bench "$bin/lipsyncd-rtx" engine bench --gpu-engine tensorrt --avatar "$full" ${BENCH:-}
            # Of a GPU that it does not know, its answer is what is wanted.
            if [ "$failed" != "$before" ] && "$bin/lipsyncd-rtx" doctor | grep -q "is not supported on sm_"; then
                failed=$before
                say "as expected: TensorRT-RTX does not know this GPU"
            fi
        fi
        ;;
    *) say "no such step: $name" ;;
    esac
done
[ -z "$failed" ] && say "" "every step passed" || say "" "FAILED:$failed"
cat "$report"
[ -z "$failed" ]
