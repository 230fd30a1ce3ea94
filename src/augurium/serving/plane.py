"""The data plane: the one door by which every protocol enters."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple
from weakref import WeakSet

from augurium.core.errors import AuguriumError, ErrorKind, NotReady, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.serving.absent_version import AbsentVersion
from augurium.serving.bulk import BulkRequest
from augurium.serving.described_version import DescribedVersion
from augurium.serving.fair_share import FairShare
from augurium.serving.prediction_cache import PredictionCache
from augurium.serving.router import Chosen, ModelRoutes, Router
from augurium.serving.served_version import ServedVersion
from augurium.serving.shadow import Shadowing
from augurium.serving.streamed_version import StreamedVersion
from augurium.serving.variant_metrics import OK
from augurium.traffic.compiled_policy import Asked

# what a request can be that names a model and is not understood
UNREADABLE = frozenset(
    {
        ErrorKind.INVALID_ARGUMENT,
        ErrorKind.TOO_LARGE,
        ErrorKind.UNSUPPORTED_MEDIA,
        ErrorKind.UNIMPLEMENTED,
    }
)

# what answers in place of a version that fails so
Instead = Callable[[AuguriumError], AsyncGenerator[InferenceResponse, None]]


class _Missing(NamedTuple):
    """A version that is not loaded and has a fallback, and what is said without one."""

    version: AbsentVersion
    error: AuguriumError


# what a traffic policy chose
_Choice = Chosen[ServedVersion]


class DataPlane:
    """Routes a request to its version, waits for the answer and counts both ends."""

    def __init__(
        self,
        router: Router[ServedVersion],
        max_in_flight: int,
        timeout_s: float,
        stream_timeout_s: float = 600.0,
        cache: PredictionCache | None = None,
        shadowing: Shadowing | None = None,
    ) -> None:
        self._router = router
        self._shadowing = shadowing
        self._share = FairShare(max_in_flight, router.ready)
        self._free = self._share.free
        self._timeout_s = timeout_s
        self._stream_timeout_s = stream_timeout_s
        self._cache = cache
        self._in_flight = 0
        self._unrouted: dict[str, int] = {}
        # those that had a stream, as long as somebody holds them
        self._streaming: WeakSet[StreamedVersion] = WeakSet()
        self._idle: asyncio.Event = asyncio.Event()
        # once everything that was wanted at the start has loaded, or failed to
        self.loaded = asyncio.Event()
        self.stopping = False

    @property
    def ready(self) -> bool:
        """Whether balancers should send requests here: from the first load until the stop.

        Loading another version later does not change it, because the others go on answering.
        """
        return self.loaded.is_set() and not self.stopping

    def deadline(self, timeout_s: float | None = None) -> float:
        """When a request that arrives now must be answered, in seconds of the monotonic clock.

        A caller may shorten the limit of this server, never lengthen it.
        """
        limit = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        return time.monotonic() + limit

    def stream_deadline(self, model: ModelRef, timeout_s: float | None = None) -> float:
        """When the last answer of a stream that is asked for now must be there, as `deadline`.

        A model that gives one answer has as much time for it as ever.
        """
        if not self.is_streamed(model):
            return self.deadline(timeout_s)
        limit = self._stream_timeout_s
        return time.monotonic() + (limit if timeout_s is None else min(timeout_s, limit))

    def is_streamed(self, model: ModelRef) -> bool:
        """Whether a request may get several answers; False for what cannot answer at all."""
        try:
            return self.asked(model).signature.streamed
        except AuguriumError:
            # who asks for an answer is told
            return False

    async def infer(
        self, request: InferenceRequest, chosen: _Choice | None = None
    ) -> InferenceResponse:
        """Answers one request; of a streamed version, one that has a single answer. The version may
        be `chosen` already.

        Raises NotFound, NotReady, InvalidArgument, Overloaded, DeadlineExceeded, ModelFailed.
        """
        started = time.perf_counter()
        if chosen is None and request.model.name in self._router.policies:
            chosen = self._chosen(request)
        try:
            version = self._router.resolve(request.model) if chosen is None else chosen.version
        except AuguriumError as error:
            return await self._instead(request, error, started)
        outcome: str = "ok"
        response: InferenceResponse | None = None
        self._in_flight += 1
        version.in_flight += 1
        try:
            if self._in_flight > self._free:
                self._share.check(self._in_flight, version, request.priority)
            if version.guard is not None:
                response = await version.guard.answer(request)
            else:
                answer = await version.submit(request)
                response = version.response(request, answer)
            return response if chosen is None else _told(response, chosen)
        except AuguriumError as error:
            outcome = error.kind
            if isinstance(error, Overloaded):
                version.metrics.refuse(error.reason, request.priority.word)
            if version.guard is not None:
                response = await version.guard.instead(request, error)
                if response is not None:
                    return response if chosen is None else _told(response, chosen)
            raise
        except asyncio.CancelledError:
            outcome = ErrorKind.CANCELLED
            raise
        except Exception:
            outcome = ErrorKind.INTERNAL
            raise
        finally:
            self._count(version, request, outcome, started, chosen, response)
            if self._shadowing is not None and self._shadowing.models:
                seconds = time.perf_counter() - started
                self._shadowing.offer(request, version, response, outcome, seconds, self._in_flight)

    def _chosen(self, request: InferenceRequest) -> _Choice | None:
        """Who answers by the model's traffic policy, None where that says nothing."""
        asked = Asked(request.header or _nothing_said, request.inputs, request.id)
        return self._router.choose(request.model, asked)

    async def _chosen_for_rows(self, request: BulkRequest) -> _Choice | None:
        """The same for many rows; the first of them is read where the policy looks at it."""
        policy = self._router.policies.get(request.model.name)
        if policy is None:
            return None
        inputs = None
        if policy.reads_features:
            try:
                inputs = await request.first_row(self.asked(request.model).signature)
            except AuguriumError:
                # who asks for an answer is told
                return None
        asked = Asked(request.header or _nothing_said, inputs, request.id)
        return self._router.choose(request.model, asked)

    async def _instead(
        self, request: InferenceRequest, error: AuguriumError, started: float
    ) -> InferenceResponse:
        """The answer of the fallback of a version that is not loaded; raises the error where there
        is none. The request counts as failed for the version either way.
        """
        absent = self._find_absent(request.model, error)
        if absent is None:
            self.count_unrouted(error.kind)
            raise error
        outcome = error.kind
        degraded: InferenceResponse | None = None
        self._in_flight += 1
        absent.in_flight += 1
        try:
            degraded = await absent.instead(request)
        except AuguriumError as mistake:
            outcome = mistake.kind
            raise
        except asyncio.CancelledError:
            outcome = ErrorKind.CANCELLED
            raise
        finally:
            self._count(absent, request, outcome, started, response=degraded)
        if degraded is None:
            raise error
        return degraded

    def _find_absent(self, model: ModelRef, error: AuguriumError) -> AbsentVersion | None:
        return self._router.find_absent(model) if isinstance(error, NotReady) else None

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse, None]:
        """Answers one request, one answer after another: one of an ordinary version, any number of
        a streamed one.

        It is one request in all counts, from the first step of this generator until its end; close
        it to leave early. Raises as `infer`, also after some answers.
        """
        started = time.perf_counter()
        chosen = self._chosen(request) if self._router.policies else None
        found = self._routed(request, chosen)
        if isinstance(found, StreamedVersion):
            self._streaming.add(found)
            responses = self._streamed(found, request)
        elif isinstance(found, _Missing) and found.version.signature.streamed:
            responses = found.version.answers_instead(request, found.error)
        else:
            yield await self.infer(request, chosen)
            return
        version = found.version if isinstance(found, _Missing) else found
        async with aclosing(self._counted(version, request, responses, started, chosen)) as counted:
            async for response in counted:
                yield response

    async def batches(self, request: BulkRequest) -> AsyncGenerator[InferenceResponse, None]:
        """Answers a request of many rows, one batch after another in their order.

        It is one request in all counts, as in `stream`. Raises as `infer`, also after some batches.
        """
        started = time.perf_counter()
        chosen = await self._chosen_for_rows(request) if self._router.policies else None
        found = self._routed(request, chosen)
        version: DescribedVersion
        if isinstance(found, _Missing):
            version, responses = found.version, found.version.batches_instead(request, found.error)
        else:
            version, responses = found, self._batched(found, request)
        async with aclosing(self._counted(version, request, responses, started, chosen)) as counted:
            async for response in counted:
                yield response

    def _batched(
        self, version: ServedVersion, request: BulkRequest
    ) -> AsyncGenerator[InferenceResponse, None]:
        def instead(error: AuguriumError) -> AsyncGenerator[InferenceResponse, None]:
            return version.batches_instead(request, error)

        return self._admitted(version, request, version.batches(request), instead)

    def _streamed(
        self, version: StreamedVersion, request: InferenceRequest
    ) -> AsyncGenerator[InferenceResponse, None]:
        responses, guard = version.responses(request), version.guard
        if guard is None:
            return self._admitted(version, request, responses, _nothing_instead)
        return self._admitted(
            version,
            request,
            guard.answers(request, responses),
            lambda error: guard.answers_instead(request, error),
        )

    async def _admitted(
        self,
        version: ServedVersion,
        request: InferenceRequest | BulkRequest,
        responses: AsyncGenerator[InferenceResponse, None],
        instead: Instead,
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The responses of a version that has room for the request; what there is instead where it
        fails before the first.
        """
        begun = False
        try:
            if self._in_flight > self._free:
                self._share.check(self._in_flight, version, request.priority)
            if version.guard is not None:
                version.guard.enter(request.priority)
            async with aclosing(responses):
                async for response in responses:
                    begun = True
                    yield response
        except AuguriumError as error:
            if isinstance(error, Overloaded):
                version.metrics.refuse(error.reason, request.priority.word)
            if begun or version.guard is None:
                raise
            async with aclosing(instead(error)) as others:
                async for response in others:
                    yield response

    async def _counted(
        self,
        version: DescribedVersion,
        request: InferenceRequest | BulkRequest,
        responses: AsyncGenerator[InferenceResponse, None],
        started: float,
        chosen: _Choice | None,
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The same as the answer to one request."""
        outcome: str = "ok"
        # the first, or one that says that something else answered
        noted: InferenceResponse | None = None
        self._in_flight += 1
        version.in_flight += 1
        try:
            async with aclosing(responses):
                async for response in responses:
                    outcome = response.failure or outcome
                    if noted is None or response.degraded:
                        noted = response
                    yield response if chosen is None else _told(response, chosen)
        except AuguriumError as error:
            outcome = error.kind
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = ErrorKind.CANCELLED
            raise
        except Exception:
            outcome = ErrorKind.INTERNAL
            raise
        finally:
            self._count(version, request, outcome, started, chosen, noted)

    def _routed(
        self, request: InferenceRequest | BulkRequest, chosen: _Choice | None
    ) -> ServedVersion | _Missing:
        """The version that answers, or one that is not loaded and has a fallback."""
        if chosen is not None:
            return chosen.version
        try:
            return self._router.resolve(request.model)
        except AuguriumError as error:
            absent = self._find_absent(request.model, error)
            if absent is None:
                self.count_unrouted(error.kind)
                raise
            return _Missing(absent, error)

    def _count(
        self,
        version: DescribedVersion,
        request: InferenceRequest | BulkRequest,
        outcome: str,
        started: float,
        chosen: _Choice | None = None,
        response: InferenceResponse | None = None,
    ) -> None:
        """A request that reached a version has ended, with a response or without; a traffic policy
        may have `chosen` the version.
        """
        self._in_flight -= 1
        version.in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        variant, unit = ("", "") if chosen is None else (chosen.variant, chosen.unit)
        seconds = time.perf_counter() - started
        metrics = version.metrics
        if outcome == OK and response is not None and not response.degraded:
            # where nothing is compared a score is not worth its time
            score = None if chosen is None else response.answer.first_value
            metrics.ended_well(seconds, variant, score)
        else:
            counted = metrics.ended(outcome, seconds, variant)
            if response is not None and response.degraded:
                counted.degraded += 1
        if version.log is not None:
            version.log.ended(request, response, outcome, seconds, (variant, unit))

    @property
    def caches(self) -> bool:
        """Whether the answers of any model are remembered."""
        return self._cache is not None and self._cache.wanted

    def caching_version(self, model: ModelRef) -> ServedVersion | None:
        """The version that would answer, if its answers are remembered; None where a traffic
        policy has to see more of a request to know that.
        """
        if self._router.policies and self._router.is_split(model):
            return None
        try:
            version = self._router.resolve(model)
        except AuguriumError:
            return None
        if version.log is not None and version.log.exposures:
            # an answer that was written before has no values any more
            return None
        return version if version.caches else None

    def count_written(self, version: ServedVersion, started: float) -> None:
        """Counts a request that was answered with what had been written before."""
        version.metrics.ended_well(time.perf_counter() - started)

    def count_unread(self, kind: ErrorKind, model: ModelRef | None) -> None:
        """Counts a request that could not be read, as a failure of the version it was for if that
        is known.
        """
        if model is not None and kind in UNREADABLE:
            try:
                self.asked(model).metrics.ended(kind, 0.0)
            except AuguriumError:
                pass
            else:
                return
        self.count_unrouted(kind)

    def count_unrouted(self, kind: ErrorKind) -> None:
        """Counts a request that reached no version."""
        self._unrouted[kind] = self._unrouted.get(kind, 0) + 1

    @property
    def unrouted(self) -> dict[str, int]:
        """Requests that reached no version, by error kind."""
        return self._unrouted

    def version(self, model: ModelRef) -> ServedVersion:
        """The version that would answer; the default one where a traffic policy chooses, whose
        versions take the same requests. Raises NotFound and NotReady.
        """
        return self._router.resolve(model)

    def asked(self, model: ModelRef) -> DescribedVersion:
        """The version that a request is for: that which would answer, or one that is not loaded and
        has a fallback. Raises NotFound and NotReady.
        """
        try:
            return self._router.resolve(model)
        except NotReady as error:
            absent = self._find_absent(model, error)
            if absent is None:
                raise
            return absent

    def most_rows(self, model: ModelRef) -> int:
        """How many rows whichever version answers takes at once. Raises as `asked`."""
        most = self.asked(model).max_batch_size
        if not self._router.is_split(model):
            return most
        ready = self._router.routes(model.name).ready.values()
        return min([most, *(version.max_batch_size for version in ready)])

    def routes(self, model: str) -> ModelRoutes[ServedVersion]:
        """All deployed versions of a model. Raises NotFound."""
        return self._router.routes(model)

    def models(self) -> Sequence[str]:
        """The deployed models, by name."""
        return sorted(self._router.names())

    def cut_streams(self) -> None:
        """Ends the streams that outlast the patience of a stopping server, and says so to their
        callers.
        """
        for version in self._streaming:
            version.cut(NotReady("the server is stopping and ends the stream here; ask again"))

    async def drain(self) -> None:
        """Returns when every accepted request has its answer."""
        while self._in_flight:
            self._idle.clear()
            await self._idle.wait()


def _nothing_said(_name: str) -> None:
    return None


def _told(response: InferenceResponse, chosen: _Choice) -> InferenceResponse:
    response.variant, response.unit = chosen.variant, chosen.unit
    return response


async def _nothing_instead(error: AuguriumError) -> AsyncGenerator[InferenceResponse, None]:
    raise error
    yield
