"""Sends a WAV file to lipsyncd and writes the frames that come back.

From the root of the repository, once (the stubs land beside this file):

    python3 -m venv .venv && . .venv/bin/activate
    python3 -m pip install grpcio grpcio-tools
    python3 -m grpc_tools.protoc -I proto --python_out=examples/python --grpc_python_out=examples/python \
        proto/lipsync/v1/lipsync.proto

Then, with `lipsyncd serve` running:

    python3 examples/python/synthesize.py --avatar demo speech.wav out/frames
"""

import argparse
import pathlib
import sys

import grpc
from lipsync.v1 import lipsync_pb2 as pb
from lipsync.v1 import lipsync_pb2_grpc as rpc

CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", 128 << 20),  # The daemon's default; grpcio does not limit sending.
    ("grpc.max_receive_message_length", 128 << 20),  # grpcio's default is 4 MiB.
    ("grpc.http2.max_frame_size", 128 << 10),  # A JPEG in one HTTP/2 frame costs less than in eight.
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Send a WAV file to lipsyncd and write the frames.")
    parser.add_argument("wav", type=pathlib.Path, help="speech, up to 8 channels, any rate")
    parser.add_argument("out", type=pathlib.Path, help="folder for 000000.jpg ...")
    parser.add_argument("--avatar", default="demo", help="the avatar's id (default: %(default)s)")
    parser.add_argument("--server", default="localhost:50053", help="host:port (default: %(default)s)")
    parser.add_argument("--start-position", type=int, default=0, help="place in the avatar's loop to start at")
    parser.add_argument("--quality", type=int, default=0, help="JPEG quality 1..100; 0: the daemon's own")
    args = parser.parse_args()

    if min(args.start_position, args.quality) < 0:
        parser.error("--start-position and --quality are 0 or more")
    try:
        sound = args.wav.read_bytes()
    except OSError as error:
        raise SystemExit(f"{args.wav}: {error.strerror}") from error
    request = pb.SynthesizeRequest(
        avatar_id=args.avatar,
        audio=sound,
        start_position=args.start_position,
        jpeg_quality=args.quality,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    frames = 0
    try:
        with grpc.insecure_channel(args.server, CHANNEL_OPTIONS) as channel:
            for response in rpc.LipSyncStub(channel).Synthesize(request):
                frame = response.frame
                (args.out / f"{frame.index:06}.jpg").write_bytes(frame.jpeg)
                frames += 1
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    print(f"{frames} frames in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
