"""Speaks to lipsyncd live: sends a WAV at the speed it is spoken, takes frames as they come, may interrupt.

From the root of the repository, once (the stubs land beside this file):

    python3 -m venv .venv && . .venv/bin/activate
    python3 -m pip install grpcio grpcio-tools
    python3 -m grpc_tools.protoc -I proto --python_out=examples/python --grpc_python_out=examples/python \
        proto/lipsync/v1/lipsync.proto

Then, with `lipsyncd serve` running:

    python3 examples/python/converse.py --avatar demo speech.wav
    python3 examples/python/converse.py --avatar demo --interrupt-after 2 speech.wav
"""

import argparse
import pathlib
import sys
import time
import wave
from collections.abc import Iterator

import grpc
from lipsync.v1 import lipsync_pb2 as pb
from lipsync.v1 import lipsync_pb2_grpc as rpc

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 128 << 20),
    ("grpc.http2.max_frame_size", 128 << 10),
]


def speech(path: pathlib.Path) -> tuple[int, bytes]:
    """Rate in Hz and samples of a 16-bit mono WAV file."""
    convert = f"{path}: give 16-bit mono; convert it: ffmpeg -i {path} -ac 1 -c:a pcm_s16le mono.wav"
    try:
        with wave.open(str(path)) as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise SystemExit(convert)
            return file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SystemExit(f"{convert} ({error})") from error
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from error


def messages(args: argparse.Namespace, rate: int, samples: bytes) -> Iterator[pb.ConverseRequest]:
    """What a client with a microphone sends: a start, then chunks, each when it has been spoken."""
    yield pb.ConverseRequest(
        start=pb.Start(avatar_id=args.avatar, audio_format=pb.AUDIO_FORMAT_S16LE, sample_rate_hz=rate)
    )
    chunk_bytes = max(1, rate * args.chunk_ms // 1000) * 2
    start = time.monotonic()
    for at in range(0, len(samples), chunk_bytes):
        spoken_s = min(at + chunk_bytes, len(samples)) / 2 / rate
        if args.interrupt_after is not None and spoken_s > args.interrupt_after:
            yield pb.ConverseRequest(interrupt=pb.Interrupt())
            return
        time.sleep(max(0.0, start + spoken_s - time.monotonic()))
        yield pb.ConverseRequest(audio=samples[at : at + chunk_bytes])
    yield pb.ConverseRequest(end_utterance=pb.EndUtterance())


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak a WAV to lipsyncd at its own speed.")
    parser.add_argument("wav", type=pathlib.Path, help="speech, 16-bit mono, any rate")
    parser.add_argument("--avatar", default="demo", help="the avatar's id (default: %(default)s)")
    parser.add_argument("--server", default="localhost:50053", help="host:port (default: %(default)s)")
    parser.add_argument("--chunk-ms", type=int, default=20, help="milliseconds a message (default: %(default)s)")
    parser.add_argument("--interrupt-after", type=float, metavar="SECONDS", help="cut the utterance there")
    parser.add_argument("--out", type=pathlib.Path, help="folder for 000000.jpg ...; none: frames are only counted")
    args = parser.parse_args()
    rate, samples = speech(args.wav)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)

    start = time.monotonic()
    try:
        with grpc.insecure_channel(args.server, CHANNEL_OPTIONS) as channel:
            for response in rpc.LipSyncStub(channel).Converse(messages(args, rate, samples)):
                now_ms = (time.monotonic() - start) * 1e3
                kind = response.WhichOneof("message")
                if kind == "frame":
                    frame = response.frame
                    if args.out:
                        (args.out / f"{frame.index:06}.jpg").write_bytes(frame.jpeg)
                    if frame.index % 25 == 0:
                        print(f"{now_ms:8.0f} ms  frame {frame.index} for {frame.pts_us / 1e3:.0f} ms of speech")
                else:
                    fields = str(getattr(response, kind)).split("\n")
                    print(f"{now_ms:8.0f} ms  {kind}: {', '.join(filter(None, fields))}")
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
