"""A data plane of real models, without a node."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from augurium.core.signature import Signature
from augurium.core.traffic_policy import TrafficPolicy
from augurium.core.traffic_slots import rearranged
from augurium.runtimes.runtime import load
from augurium.serving.executor import LocalExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion
from augurium.traffic.compiled_policy import CompiledPolicy


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
    return _loaded(router)


def split_plane(
    files: dict[int, Path],
    signature: Signature,
    policy: TrafficPolicy,
    batching: Mapping[int, BatchingPolicy] = MappingProxyType({}),
) -> DataPlane:
    """A plane that serves files as versions of the model `m`, the first as its default, by a
    traffic policy.
    """
    router: Router[ServedVersion] = Router()
    versions = {
        number: _version("m", file, signature, batching.get(number, BatchingPolicy()), number)
        for number, file in files.items()
    }
    slots = rearranged((), {variant.label: variant.slots for variant in policy.split})
    compiled = CompiledPolicy("m", policy, slots, signature)
    router.replace({"m": ModelRoutes(versions, {}, min(versions), {}, policy=compiled)})
    return _loaded(router)


def _loaded(router: Router[ServedVersion]) -> DataPlane:
    plane = DataPlane(router, 64, 30.0)
    plane.loaded.set()
    return plane


def _version(
    name: str, file: Path, signature: Signature, policy: BatchingPolicy, number: int = 1
) -> ServedVersion:
    inputs, outputs = ([spec.name for spec in of] for of in (signature.inputs, signature.outputs))
    runtime = "python" if file.suffix == ".cloudpickle" else "onnx"
    executor = LocalExecutor(load(runtime, file, {}), inputs, outputs)
    desired = DesiredVersion(name, number, runtime, str(file), "", signature, batching=policy)
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(3)
    return ServedVersion(desired, executor, VersionMetrics(name, number), loop, threads)
