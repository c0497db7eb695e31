#!/bin/sh
# The main job, seen from outside: start the daemon, send it speech over gRPC, keep the film.
#   scripts/demo.sh LIPSYNCD AVATARS ID WAV OUT
set -eu
lipsyncd=$1 avatars=$2 id=$3 wav=$4 out=$5
mkdir -p "$out"
log=$(mktemp)
LIPSYNCD_LISTEN=127.0.0.1:0 LIPSYNCD_AVATARS=$avatars LIPSYNCD_PRELOAD=$id LIPSYNCD_LOG=info \
    "$lipsyncd" serve 2>"$log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true; rm -f "$log"' EXIT
address=
for _ in $(seq 300); do
    address=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' "$log")
    [ -z "$address" ] || break
    kill -0 "$daemon" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { cat "$log" >&2; exit 1; }
echo "lipsyncd serves \"$id\" on $address; sending $wav"
films=$out/demo.avi
if command -v ffmpeg >/dev/null; then films="$films $out/demo.mp4"; fi
for film in $films; do
    start=$(date +%s%N)
    "$lipsyncd" synth --server "http://$address" --avatar "$id" --audio "$wav" --out "$film"
    end=$(date +%s%N)
    echo "$film: $(du -k "$film" | cut -f1) kB in $(( (end - start) / 1000000 )) ms"
done
kill -TERM "$daemon"
wait "$daemon"
echo "the daemon drained and ended; watch $out/demo.avi"
