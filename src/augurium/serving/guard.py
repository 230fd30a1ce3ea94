"""What stands in front of a version whose model has a concurrency limit or a fallback."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec
import structlog

from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    ErrorKind,
    Internal,
    NotReady,
)
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse
from augurium.core.priority import Priority
from augurium.core.serving_policy import FallbackPolicy, OverloadPolicy
from augurium.serving import concurrency_limit
from augurium.serving.circuit_breaker import CircuitBreaker
from augurium.serving.concurrency_limit import ConcurrencyLimit
from augurium.serving.degradable import Degradable, Find
from augurium.serving.fallback import Fallback

# what a poorer answer is better than, and how it is called; a caller's mistake is not among it
REASONS = {
    ErrorKind.MODEL_FAILED: "error",
    ErrorKind.NOT_READY: "error",
    ErrorKind.INTERNAL: "error",
    ErrorKind.DEADLINE_EXCEEDED: "timeout",
    ErrorKind.OVERLOADED: "overload",
}
# too much to do says nothing about whether a version works
FAILURES = REASONS.keys() - {ErrorKind.OVERLOADED}
# of a caller's time, where the policy does not say
OWN_SHARE = 0.75

log = structlog.get_logger()


class CircuitOpen(NotReady):
    """The version failed too often to be asked now."""


class Guard:
    """Lets requests through to one version. Lives on one event loop."""

    def __init__(
        self, version: Degradable, overload: OverloadPolicy, fallback: FallbackPolicy, find: Find
    ) -> None:
        self.limit: ConcurrencyLimit | None = concurrency_limit.limit_of(overload)
        self._version = version
        self._fallback: Fallback | None = None
        self.breaker: CircuitBreaker | None = None
        self._timeout_s = fallback.timeout_ms / 1000
        if fallback.steps:
            self._fallback = Fallback(version, fallback, find)
            self.breaker = CircuitBreaker(fallback.breaker)

    @property
    def degrades(self) -> bool:
        """Whether there is a fallback."""
        return self._fallback is not None

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open."""
        return self.breaker is not None and self.breaker.is_open

    def enter(self, priority: Priority) -> None:
        """Raises Overloaded for a request beyond the limit; it is counted already."""
        if self.limit is not None:
            concurrency_limit.check(self.limit, self._version.in_flight, priority)

    async def answer(self, request: InferenceRequest) -> InferenceResponse:
        """The version's own answer. Raises as `ServedVersion.submit`, and CircuitOpen."""
        self.enter(request.priority)
        breaker = self.breaker
        if breaker is None:
            return await self._measured(request)
        if not breaker.admits():
            raise self._circuit_open(breaker)
        ok: bool | None = None
        try:
            response = await self._measured(self._in_own_time(request))
            ok = True
        except AuguriumError as error:
            ok = False if error.kind in FAILURES else None
            raise
        except asyncio.CancelledError:
            raise
        except Exception as error:
            ok = False
            log.exception("request failed", model=request.model.name)
            raise Internal("internal error; the log has it") from error
        finally:
            breaker.ended(ok)
        if self._fallback is not None and self._fallback.exercises:
            self._fallback.exercise(request)
        return response

    async def instead(
        self, request: InferenceRequest, error: AuguriumError
    ) -> InferenceResponse | None:
        """The answer of the fallback after an error, None where there is none.

        Raises InvalidArgument for what the version would not have taken.
        """
        reason = reason_of(error)
        if self._fallback is None or reason is None:
            return None
        return await self._fallback.answer(request, reason, error.kind)

    async def answers(
        self, request: InferenceRequest, responses: AsyncGenerator[InferenceResponse, None]
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The version's own answers to one request, one after another; the first in its own time.

        Raises what they raise, CircuitOpen, and DeadlineExceeded.
        """
        breaker = self.breaker
        async with aclosing(responses):
            if breaker is None:
                async for response in responses:
                    yield response
                return
            if not breaker.admits():
                raise self._circuit_open(breaker)
            ok: bool | None = None
            try:
                own_s = self._own_s(request.deadline)
                first = await asyncio.wait_for(anext(responses, None), own_s)
                ok = True
            except TimeoutError as error:
                ok = False
                raise DeadlineExceeded("Request timeout expired") from error
            except AuguriumError as error:
                ok = False if error.kind in FAILURES else None
                raise
            finally:
                breaker.ended(ok)
            if first is not None:
                yield first
            async for response in responses:
                yield response

    async def answers_instead(
        self, request: InferenceRequest, error: AuguriumError
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers of the fallback, one after another. Raises the error where there are none."""
        reason = reason_of(error)
        if self._fallback is None or reason is None:
            raise error
        begun = False
        async with aclosing(self._fallback.answers(request, reason, error.kind)) as responses:
            async for response in responses:
                begun = True
                yield response
        if not begun:
            raise error

    def batch(self, submit: "Callable[[], asyncio.Future[Answer]]") -> "asyncio.Future[Answer]":
        """One batch of a request of many rows. Raises what `submit` raises, and CircuitOpen."""
        breaker = self.breaker
        if breaker is None:
            return submit()
        if not breaker.admits():
            raise self._circuit_open(breaker)
        try:
            answer = submit()
        except BaseException:
            breaker.ended(None)
            raise
        answer.add_done_callback(lambda answer: breaker.ended(_verdict(answer)))
        return answer

    def bulk_deadline(self, deadline: float) -> float:
        """Until when the version may answer a request of many rows: some time is left for others.

        `timeout_ms` is for a request that is answered at once.
        """
        if self._fallback is None:
            return deadline
        now = time.monotonic()
        return now + OWN_SHARE * (deadline - now)

    def close(self) -> None:
        """Gives up what nobody waits for."""
        if self._fallback is not None:
            self._fallback.close()

    async def _measured(self, request: InferenceRequest) -> InferenceResponse:
        version, limit = self._version, self.limit
        if limit is None:
            return version.response(request, await version.submit(request))
        in_flight, started = version.in_flight, time.perf_counter()
        answer = await version.submit(request)
        limit.answered(time.perf_counter() - started, in_flight)
        return version.response(request, answer)

    def _in_own_time(self, request: InferenceRequest) -> InferenceRequest:
        """The request with less time, so that some is left for the fallback."""
        deadline = time.monotonic() + self._own_s(request.deadline)
        if deadline >= request.deadline:
            return request
        return msgspec.structs.replace(request, deadline=deadline)

    def _own_s(self, deadline: float) -> float:
        return self._timeout_s or OWN_SHARE * (deadline - time.monotonic())

    def _circuit_open(self, breaker: CircuitBreaker) -> CircuitOpen:
        error = CircuitOpen(
            f"model '{self._version.metrics.model}' fails too often to be asked now; try again"
            " later"
        )
        error.retry_after_s = breaker.opens_in_s
        return error


def reason_of(error: AuguriumError) -> str | None:
    """Why something else may answer; None for what is a caller's mistake."""
    return "breaker" if isinstance(error, CircuitOpen) else REASONS.get(error.kind)


def _verdict(answer: "asyncio.Future[Answer]") -> bool | None:
    """What an answer says about whether a version works."""
    if answer.cancelled():
        return None
    error = answer.exception()
    if error is None:
        return True
    return None if isinstance(error, AuguriumError) and error.kind not in FAILURES else False
