"""A data plane behind the gRPC host, without a node, in a process whose memory is its own.

`python -m tests.support.grpc_server FOLDER` serves every `NAME.onnx` of the folder, with the
signature of `NAME.json` beside it, and prints its port.
"""

import select
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import msgspec
import psutil
import uvloop

from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.node.grpc_host import GrpcHost
from augurium.protocols.grpc_api import GrpcApi
from augurium.serving.snapshot import BatchingPolicy
from tests.support.planes import plane_of

START_TIMEOUT_S = 60.0


class GrpcServer:
    """The server in a process of its own; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._command = (sys.executable, "-m", "tests.support.grpc_server", str(folder))

    def __enter__(self) -> "GrpcServer":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        out = self._process.stdout
        if out is None or not select.select([out], [], [], START_TIMEOUT_S)[0]:
            raise TimeoutError("the server did not start")
        self.address = f"127.0.0.1:{out.readline().strip()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    @property
    def rss_bytes(self) -> int:
        """The memory it has now."""
        return int(psutil.Process(self._process.pid).memory_info().rss)


async def _serve(files: list[Path]) -> None:
    stop = await stop_requested(NO_LIFELINE)
    models = {
        file.stem: (
            file,
            msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Signature),
        )
        for file in files
    }
    api = GrpcApi(plane_of(models, BatchingPolicy()))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    async with GrpcHost(api, LimitSettings(), "127.0.0.1", port):
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve(list(Path(sys.argv[1]).glob("*.onnx"))))
