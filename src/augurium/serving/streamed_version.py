"""A loaded version that answers a request several times, or not at all."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from concurrent.futures import Executor as ThreadPool
from contextlib import aclosing

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse
from augurium.serving.executor import StreamExecutor
from augurium.serving.metrics import VersionMetrics
from augurium.serving.run_parameters import plain_parameters
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.streams import Streams

ONE_ANSWER = "ask for generate_stream or ModelStreamInfer, which take any number of answers"


class StreamedVersion(ServedVersion):
    """Answers each request on its own, without a batch. Lives on one event loop."""

    def __init__(
        self,
        desired: DesiredVersion,
        executor: StreamExecutor,
        metrics: VersionMetrics,
        loop: asyncio.AbstractEventLoop,
        threads: ThreadPool,
    ) -> None:
        super().__init__(desired, executor, metrics, loop, threads)
        self._streams = Streams(executor, loop, executor.threads or threads)

    @property
    def pending(self) -> int:
        """Streams that are open."""
        return self._streams.pending

    def submit(self, request: InferenceRequest) -> Awaitable[Answer]:
        """The only answer to a request. Raises InvalidArgument if there is not exactly one."""
        return self._only(request)

    async def answers(self, request: InferenceRequest) -> AsyncGenerator[Answer, None]:
        """One answer after another.

        Raises InvalidArgument, Overloaded, DeadlineExceeded and ModelFailed.
        """
        prepared = self.prepare(request)
        largest = self.desired.batching.max_batch_size
        if self.signature.batched and prepared.rows > largest:
            raise InvalidArgument(
                f"inference request batch-size must be <= {largest}, got {prepared.rows};"
                " split the request or raise the version's max_batch_size"
            )
        parameters = plain_parameters(request.parameters)
        started = time.perf_counter()
        answers = self._streams.answers(prepared.inputs, parameters, request.deadline)
        async with aclosing(answers), aclosing(self._counted(answers)) as counted:
            async for answer in counted:
                yield answer
        self.metrics.ran(prepared.rows, 1, 0.0, time.perf_counter() - started, 0.0)

    async def _counted(self, answers: AsyncGenerator[Answer, None]) -> AsyncGenerator[Answer, None]:
        """The same answers, counted by their place; the time of one ends when it is there."""
        index = 0
        asked = time.perf_counter()
        try:
            async for answer in answers:
                came = time.perf_counter()
                self.metrics.answered(index, "ok", came - asked)
                index += 1
                asked = came
                yield answer
                asked = time.perf_counter()
        except (asyncio.CancelledError, GeneratorExit):
            self.metrics.answered(index, "left", time.perf_counter() - asked)
            raise
        except AuguriumError:
            self.metrics.answered(index, "failed", time.perf_counter() - asked)
            raise

    async def responses(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse, None]:
        """The same as responses to the request."""
        async with aclosing(self.answers(request)) as answers:
            async for answer in answers:
                yield self.response(request, answer)

    def cut(self, error: AuguriumError) -> None:
        """Ends every stream now, with this error for its caller."""
        self._streams.cut(error)

    async def drain(self) -> None:
        """Returns when no stream is open."""
        await self._streams.drain()

    async def _only(self, request: InferenceRequest) -> Answer:
        found = None
        async with aclosing(self.answers(request)) as answers:
            async for answer in answers:
                if found is not None:
                    raise self._not_one("more than one answer")
                found = answer
        if found is None:
            raise self._not_one("no answer")
        return found

    def _not_one(self, got: str) -> InvalidArgument:
        return InvalidArgument(
            f"model '{self.desired.model}' gives a stream of answers and has {got} to this"
            f" request; {ONE_ANSWER}"
        )
