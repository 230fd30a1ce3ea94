"""A data plane of real models, without a node."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from augurium.core.signature import Signature
from augurium.runtimes.runtime import load
from augurium.serving.executor import LocalExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion


def plane_of(models: dict[str, tuple[Path, Signature]], policy: BatchingPolicy) -> DataPlane:
    """A plane that serves files as version 1 of models by name; made on a running loop.

    The files are ONNX, or cloudpickle where they are called so.
    """
    router: Router[ServedVersion] = Router()
    router.replace(
        {
            name: ModelRoutes({1: _version(name, file, signature, policy)}, {}, 1, {})
            for name, (file, signature) in models.items()
        }
    )
    plane = DataPlane(router, 64, 30.0)
    plane.loaded.set()
    return plane


def _version(name: str, file: Path, signature: Signature, policy: BatchingPolicy) -> ServedVersion:
    inputs, outputs = ([spec.name for spec in of] for of in (signature.inputs, signature.outputs))
    runtime = "python" if file.suffix == ".cloudpickle" else "onnx"
    executor = LocalExecutor(load(runtime, file, {}), inputs, outputs)
    desired = DesiredVersion(name, 1, runtime, str(file), "", signature, batching=policy)
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(3)
    return ServedVersion(desired, executor, VersionMetrics(name, 1), loop, threads)
