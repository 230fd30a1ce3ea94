"""The form of a served version, as its signature asks for it."""

import asyncio
from concurrent.futures import Executor as ThreadPool

from augurium.serving.executor import StreamExecutor, VersionExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.parameterized_version import ParameterizedVersion
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.run_parameters import ParameterizedExecutor
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.streamed_version import StreamedVersion


def served_version(
    desired: DesiredVersion,
    executor: VersionExecutor,
    metrics: VersionMetrics,
    loop: asyncio.AbstractEventLoop,
    threads: ThreadPool,
    cache: PredictionCache | None = None,
) -> ServedVersion:
    """The version around an executor."""
    signature = desired.signature
    if signature.streamed and isinstance(executor, StreamExecutor):
        return StreamedVersion(desired, executor, metrics, loop, threads)
    if signature.takes_parameters and isinstance(executor, ParameterizedExecutor):
        return ParameterizedVersion(desired, executor, executor, metrics, loop, threads, cache)
    return ServedVersion(desired, executor, metrics, loop, threads, cache)
