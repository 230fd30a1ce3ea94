"""The data plane: the one door by which every protocol enters."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from augurium.core.errors import AuguriumError, ErrorKind, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.served_version import ServedVersion


class DataPlane:
    """Routes a request to its version, waits for the answer and counts both ends."""

    def __init__(self, router: Router[ServedVersion], max_in_flight: int, timeout_s: float) -> None:
        self._router = router
        self._max_in_flight = max_in_flight
        self._timeout_s = timeout_s
        self._in_flight = 0
        self._unrouted: dict[str, int] = {}
        self._idle: asyncio.Event = asyncio.Event()
        self.loaded = False
        self.stopping = False

    @property
    def ready(self) -> bool:
        """Whether balancers should send requests here: from the first load until the stop.

        Loading another version later does not change it, because the others go on answering.
        """
        return self.loaded and not self.stopping

    def deadline(self, timeout_s: float | None = None) -> float:
        """When a request that arrives now must be answered, in seconds of the monotonic clock.

        A caller may shorten the limit of this server, never lengthen it.
        """
        limit = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        return time.monotonic() + limit

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        """Answers one request.

        Raises NotFound, NotReady, InvalidArgument, Overloaded, DeadlineExceeded, ModelFailed.
        """
        started = time.perf_counter()
        try:
            version = self._router.resolve(request.model)
        except AuguriumError as error:
            self.count_unrouted(error.kind)
            raise
        outcome: str = "ok"
        self._in_flight += 1
        try:
            if self._in_flight > self._max_in_flight:
                raise Overloaded(
                    f"this engine works on {self._max_in_flight} requests already; try again later"
                )
            answer = await version.submit(request)
            return version.response(request, answer)
        except AuguriumError as error:
            outcome = error.kind
            raise
        except asyncio.CancelledError:
            outcome = ErrorKind.CANCELLED
            raise
        except Exception:
            outcome = ErrorKind.INTERNAL
            raise
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
            metrics = version.metrics
            metrics.outcomes[outcome] = metrics.outcomes.get(outcome, 0) + 1
            metrics.request_s.observe(time.perf_counter() - started)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse, None]:
        """Answers one request, one answer after another. Raises as `infer`."""
        yield await self.infer(request)

    def count_unrouted(self, kind: ErrorKind) -> None:
        """Counts a request that reached no version: an unknown model, or a body that could not be
        read.
        """
        self._unrouted[kind] = self._unrouted.get(kind, 0) + 1

    @property
    def unrouted(self) -> dict[str, int]:
        """Requests that reached no version, by error kind."""
        return self._unrouted

    def version(self, model: ModelRef) -> ServedVersion:
        """The version that would answer. Raises NotFound and NotReady."""
        return self._router.resolve(model)

    def routes(self, model: str) -> ModelRoutes[ServedVersion]:
        """All deployed versions of a model. Raises NotFound."""
        return self._router.routes(model)

    def models(self) -> Sequence[str]:
        """The deployed models, by name."""
        return sorted(self._router.names())

    async def drain(self) -> None:
        """Returns when every accepted request has its answer."""
        while self._in_flight:
            self._idle.clear()
            await self._idle.wait()
