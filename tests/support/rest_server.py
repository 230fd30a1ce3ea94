"""A REST engine's core behind its host, without a node, in a process whose memory is its own.

`python -m tests.support.rest_server FOLDER` serves every `NAME.onnx` of the folder, with the
signature of `NAME.json` beside it, and prints its port.
"""

import asyncio
import select
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import httpx
import msgspec
import psutil
import structlog
import uvloop

from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.stopping import NO_LIFELINE, stop_requested
from augurium.node.http_host import HttpHost
from augurium.protocols.rest import RestApi
from augurium.runtimes.onnx import OnnxModel
from augurium.serving.executor import LocalExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion

START_TIMEOUT_S = 60.0
POLL_S = 0.002


def plane_of(models: dict[str, tuple[Path, Signature]], policy: BatchingPolicy) -> DataPlane:
    """A plane that serves ONNX files as version 1 of models by name; made on a running loop."""
    router: Router[ServedVersion] = Router()
    router.replace(
        {
            name: ModelRoutes({1: _version(name, file, signature, policy)}, {}, 1, {})
            for name, (file, signature) in models.items()
        }
    )
    plane = DataPlane(router, 64, 30.0)
    plane.loaded = True
    return plane


class RestServer:
    """The server in a process of its own; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._command = (sys.executable, "-m", "tests.support.rest_server", str(folder))

    def __enter__(self) -> "RestServer":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        out = self._process.stdout
        if out is None or not select.select([out], [], [], START_TIMEOUT_S)[0]:
            raise TimeoutError("the server did not start")
        self.url = f"http://127.0.0.1:{out.readline().strip()}"
        self.address = self.url.removeprefix("http://")
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

    def live(self) -> bool:
        return httpx.get(f"{self.url}/v2/health/live", trust_env=False).is_success


def _version(name: str, file: Path, signature: Signature, policy: BatchingPolicy) -> ServedVersion:
    inputs, outputs = ([spec.name for spec in of] for of in (signature.inputs, signature.outputs))
    executor = LocalExecutor(OnnxModel(file, {}), inputs, outputs)
    desired = DesiredVersion(name, 1, "onnx", str(file), "", signature, batching=policy)
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(3)
    return ServedVersion(desired, executor, VersionMetrics(name, 1), loop, threads)


async def _serve(files: list[Path]) -> None:
    stop = await stop_requested(NO_LIFELINE)
    models = {file.stem: (file, _signature(file.with_suffix(".json"))) for file in files}
    limits = LimitSettings()
    api = RestApi(plane_of(models, BatchingPolicy()), limits)
    port = _free_port()
    async with HttpHost(api.handle, limits, "127.0.0.1", port):
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await stop.wait()


def _signature(file: Path) -> Signature:
    return msgspec.json.decode(file.read_bytes(), type=Signature)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    # nobody reads what a log says behind the port
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(_serve(list(Path(sys.argv[1]).glob("*.onnx"))))
