"""A loaded version whose model wants to be told what requests say beside their tensors."""

import asyncio
from concurrent.futures import Executor as ThreadPool

from msgspec.structs import replace

from augurium.core.inference import InferenceRequest
from augurium.serving.executor import VersionExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.run_parameters import (
    ParameterizedExecutor,
    ParameterizedRun,
    plain_parameters,
)
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.validation import Prepared


class ParameterizedVersion(ServedVersion):
    """Answers requests with equal parameters together. Lives on one event loop."""

    def __init__(
        self,
        desired: DesiredVersion,
        executor: VersionExecutor,
        runs: ParameterizedExecutor,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
        cache: PredictionCache | None = None,
    ) -> None:
        """`runs` is the executor again, as it takes parameters."""
        super().__init__(desired, executor, metrics, loop, threads, cache)
        self._runs = runs

    def prepare(self, request: InferenceRequest) -> Prepared:
        """The tensors of a request as the model takes them, with what it says beside them.

        Raises InvalidArgument.
        """
        parameters = plain_parameters(request.parameters)
        prepared = super().prepare(request)
        return replace(prepared, key=ParameterizedRun(self._runs, prepared.key, parameters))
