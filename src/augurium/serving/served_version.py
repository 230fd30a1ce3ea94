"""One loaded version: its checks, its batcher and its counters."""

import asyncio
from concurrent.futures import Executor as ThreadPool

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse, Instances
from augurium.serving.batcher import Batcher
from augurium.serving.executor import VersionExecutor
from augurium.serving.instances import tensors_from_instances
from augurium.serving.metrics import VersionMetrics
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.validation import InputValidator


class ServedVersion:
    """Answers requests for one version. Lives on one event loop."""

    def __init__(
        self,
        desired: DesiredVersion,
        executor: VersionExecutor,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
    ) -> None:
        self.desired = desired
        self.signature = desired.signature
        self.metrics = metrics
        policy = desired.batching
        if not self.signature.batched:
            policy = msgspec.structs.replace(policy, max_batch_size=1)
        self._validator = InputValidator(desired.model, self.signature)
        self._executor = executor
        self._batcher = Batcher(executor, policy, metrics, loop, executor.threads or threads)
        self._output_indices = {spec.name: i for i, spec in enumerate(self.signature.outputs)}
        self._all_indices = range(len(self.signature.outputs))

    @property
    def pending(self) -> int:
        """Requests that wait or run."""
        return self._batcher.pending

    @property
    def restarts(self) -> int:
        """How often its runner had to be started again."""
        return self._executor.restarts

    def submit(self, request: InferenceRequest) -> "asyncio.Future[Answer]":
        """Checks and queues a request. Raises InvalidArgument and Overloaded at once."""
        for name in request.outputs:
            if name not in self._output_indices:
                raise InvalidArgument(
                    f"unexpected inference output '{name}' for model '{self.desired.model}'"
                )
        inputs = request.inputs
        if isinstance(inputs, Instances):
            inputs = tensors_from_instances(inputs, self.signature)
        prepared = self._validator.prepare(inputs)
        return self._batcher.submit(prepared.inputs, prepared.rows, request.deadline, prepared.key)

    def response(self, request: InferenceRequest, answer: Answer) -> InferenceResponse:
        """The answer with the outputs the request asked for."""
        specs, indices = self.signature.outputs, self._all_indices
        if request.outputs:
            chosen = [self._output_indices[name] for name in request.outputs]
            return InferenceResponse(
                self.desired.model,
                self.desired.version,
                request.id,
                [specs[index] for index in chosen],
                chosen,
                answer,
            )
        return InferenceResponse(
            self.desired.model, self.desired.version, request.id, specs, indices, answer
        )

    async def drain(self) -> None:
        """Returns when every accepted request has its answer."""
        await self._batcher.drain()

    def close(self) -> None:
        """Frees what the version holds; call it when no request can come any more."""
        self._executor.close()
