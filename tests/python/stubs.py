"""The gRPC stubs, generated from `proto/` when first imported and never kept."""

from __future__ import annotations

import atexit
import importlib
import shutil
import sys
import tempfile

from daemon import ROOT
from grpc_tools import protoc

_folder = tempfile.mkdtemp(prefix="lipsyncd-stubs-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _file in ("lipsync/v1/lipsync.proto", "monolithic/monolithic.proto"):
    _status = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={_folder}",
                           f"--grpc_python_out={_folder}", _file])
    assert _status == 0, f"{_file} does not compile"
sys.path.insert(0, _folder)

lipsync = importlib.import_module("lipsync.v1.lipsync_pb2")
lipsync_grpc = importlib.import_module("lipsync.v1.lipsync_pb2_grpc")
monolithic = importlib.import_module("monolithic.monolithic_pb2")
monolithic_grpc = importlib.import_module("monolithic.monolithic_pb2_grpc")
