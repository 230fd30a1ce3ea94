"""What is answered in place of a version that fails, is too slow or is overloaded: poorer, and
marked.

Steps are tried in their order. A step that is another model asks that version itself and nothing
that stands in front of it, so no fallback ever has a fallback; only so many run at a time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from augurium.core.compatibility import difference
from augurium.core.constant_outputs import constant_row, constant_rows
from augurium.core.errors import AuguriumError, ErrorKind
from augurium.core.identifiers import ModelRef, model_ref
from augurium.core.inference import (
    Answer,
    BatchOutputs,
    InferenceRequest,
    InferenceResponse,
    Instances,
)
from augurium.core.priority import Priority
from augurium.core.serving_policy import ConstantStep, FallbackPolicy, ModelStep, StaleStep
from augurium.serving.degradable import Degradable, Find
from augurium.serving.validation import Prepared

# larger ones are not worth a copy that is thrown away
MOST_EXERCISED_BYTES = 1024 * 1024


class Fallback:
    """The steps of one version. Lives on one event loop; `find` gives the version of another
    model.
    """

    def __init__(self, version: Degradable, policy: FallbackPolicy, find: Find) -> None:
        self._version = version
        self._max_concurrency = policy.max_concurrency
        self._steps = [_step(version, step, find) for step in policy.steps]
        self._models = [step for step in self._steps if isinstance(step, _OtherModel)]
        self._exercise_fraction = policy.exercise_fraction if self._models else 0.0
        self._due = 0.0
        self._running = 0
        self._exercise: asyncio.Task[None] | None = None

    @property
    def exercises(self) -> bool:
        """Whether answered requests are also given to it."""
        return self._exercise_fraction > 0

    async def answer(
        self, request: InferenceRequest, reason: str, failure: ErrorKind
    ) -> InferenceResponse | None:
        """The answer of the first step that has one; None where none has.

        Raises InvalidArgument for what the version itself would not have taken.
        """
        prepared = self._version.prepare(request)
        if self._too_large(prepared):
            return None
        for step in self._steps:
            response = await self._tried(step, request, prepared)
            if response is not None:
                self._version.metrics.degrade(reason, step.name)
                return _marked(response, step, reason, failure)
        return None

    async def answers(
        self, request: InferenceRequest, reason: str, failure: ErrorKind
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers of the first step that has any, one after another; none where none has.

        Raises as `answer`, and what another model raises after its first answer.
        """
        prepared = self._version.prepare(request)
        if self._too_large(prepared):
            return
        for step in self._steps:
            begun = False
            responses = self._tried_stream(step, request, prepared)
            async with aclosing(responses):
                async for response in responses:
                    if not begun:
                        self._version.metrics.degrade(reason, step.name)
                    begun = True
                    yield _marked(response, step, reason, failure)
            if begun:
                return

    def _too_large(self, prepared: Prepared) -> bool:
        version = self._version
        return version.signature.batched and prepared.rows > version.max_batch_size

    async def _tried(
        self, step: "_Step", request: InferenceRequest, prepared: Prepared
    ) -> InferenceResponse | None:
        if not isinstance(step, _OtherModel):
            return self._known(step, request, prepared)
        if self._refuses(step, request):
            return None
        self._running += 1
        try:
            return await step.respond(request)
        except _Unfit as error:
            self._skipped(step, str(error))
        except AuguriumError:
            self._skipped(step, "failed")
        finally:
            self._running -= 1
        return None

    async def _tried_stream(
        self, step: "_Step", request: InferenceRequest, prepared: Prepared
    ) -> AsyncGenerator[InferenceResponse, None]:
        if not isinstance(step, _OtherModel):
            found = self._known(step, request, prepared)
            if found is not None:
                yield found
            return
        if self._refuses(step, request):
            return
        begun = False
        self._running += 1
        try:
            async with aclosing(step.responses(request)) as responses:
                async for response in responses:
                    begun = True
                    yield response
        except _Unfit as error:
            self._skipped(step, str(error))
        except AuguriumError:
            if begun:
                raise
            self._skipped(step, "failed")
        finally:
            self._running -= 1

    def _known(
        self, step: "_Known | _Constant", request: InferenceRequest, prepared: Prepared
    ) -> InferenceResponse | None:
        found = step.answer(request, prepared)
        if found is None:
            self._skipped(step, "absent")
            return None
        return self._version.response(request, found)

    def _refuses(self, step: "_OtherModel", request: InferenceRequest) -> bool:
        if self._running >= self._max_concurrency:
            self._skipped(step, "busy")
            return True
        if request.deadline <= time.monotonic():
            self._skipped(step, "late")
            return True
        return False

    def _skipped(self, step: "_Step", why: str) -> None:
        self._version.metrics.skip_step(step.name, why)

    def exercise(self, request: InferenceRequest) -> None:
        """Gives a share of the requests that were answered to the first model among the steps too,
        after their answer, one at a time, and not when there is too much to do.
        """
        self._due += self._exercise_fraction
        if self._due < 1:
            return
        self._due -= 1
        if self._exercise is not None or self._running or self._version.overloaded:
            return
        kept = _copied(request)
        if kept is not None:
            self._exercise = asyncio.ensure_future(self._exercised(self._models[0], kept))

    async def _exercised(self, step: "_OtherModel", request: InferenceRequest) -> None:
        outcome = "failed"
        try:
            await step.respond(request)
            outcome = "ok"
        except AuguriumError:
            pass  # counted below; nobody waits for it
        finally:
            self._exercise = None
            self._version.metrics.exercise_step(step.name, outcome)

    def close(self) -> None:
        """Gives up a trial."""
        if self._exercise is not None:
            self._exercise.cancel()


class _Unfit(Exception):
    """Why another model is not asked: `gone`, `itself` or `unlike`."""


class _Known:
    """What the prediction cache remembers."""

    name = "stale"

    def __init__(self, version: Degradable, step: StaleStep) -> None:
        self._version = version
        self._max_age_s = step.max_age_s

    def answer(self, request: InferenceRequest, prepared: Prepared) -> Answer | None:
        return self._version.stale(prepared, request.deadline, self._max_age_s)


class _Constant:
    """Always the same."""

    name = "constant"

    def __init__(self, version: Degradable, step: ConstantStep) -> None:
        self._batched = version.signature.batched
        try:
            self._row: list[Any] | None = constant_row(version.signature, step.outputs)
        except AuguriumError:
            # it fitted the versions that were there when it was set, and not this one
            self._row = None

    def answer(self, _request: InferenceRequest, prepared: Prepared) -> Answer | None:
        if self._row is None:
            return None
        return Answer(BatchOutputs(constant_rows(self._row, prepared.rows, self._batched)))


class _OtherModel:
    """Another model, version or alias, whatever that is when it is asked."""

    def __init__(self, version: Degradable, step: ModelStep, find: Find) -> None:
        self.name = f"model:{step.model}"
        self._version = version
        self._ref: ModelRef = model_ref(step.model)
        self._find = find
        # what was found last, and whether it can answer in place of this version
        self._compared: tuple[Degradable, str] | None = None

    async def respond(self, request: InferenceRequest) -> InferenceResponse:
        """Its answer. Raises _Unfit, and what the model raises."""
        other = self._found()
        asked = msgspec.structs.replace(request, model=self._ref)
        started = time.perf_counter()
        outcome = "internal"
        try:
            answer = await other.submit(asked)
            outcome = "ok"
        except AuguriumError as error:
            outcome = error.kind
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            other.metrics.ended(outcome, time.perf_counter() - started)
        return other.response(asked, answer)

    async def responses(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse, None]:
        """Its answers one after another, one of a model that does not stream. Raises as
        `respond`.
        """
        other = self._found()
        asked = msgspec.structs.replace(request, model=self._ref)
        started = time.perf_counter()
        outcome: str = "ok"
        try:
            async with aclosing(other.answers(asked)) as answers:
                async for answer in answers:
                    yield other.response(asked, answer)
        except AuguriumError as error:
            outcome = error.kind
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        finally:
            other.metrics.ended(outcome, time.perf_counter() - started)

    def _found(self) -> Degradable:
        try:
            other = self._find(self._ref)
        except AuguriumError as error:
            raise _Unfit("gone") from error
        if other is self._version:
            raise _Unfit("itself")
        if self._compared is None or self._compared[0] is not other:
            self._compared = other, difference(self._version.signature, other.signature)
        if self._compared[1]:
            raise _Unfit("unlike")
        return other


_Step = _Known | _Constant | _OtherModel
_STEPS: dict[type, Callable[..., _Step]] = {StaleStep: _Known, ConstantStep: _Constant}


def _step(version: Degradable, step: Any, find: Find) -> _Step:
    if isinstance(step, ModelStep):
        return _OtherModel(version, step, find)
    return _STEPS[type(step)](version, step)


def _marked(
    response: InferenceResponse, step: _Step, reason: str, failure: ErrorKind
) -> InferenceResponse:
    response.degraded, response.step, response.failure = reason, step.name, failure
    return response


def _copied(request: InferenceRequest) -> InferenceRequest | None:
    """The request as it can be kept: its tensors may be views of what it was received into."""
    inputs = request.inputs
    if not isinstance(inputs, Instances):
        if sum(array.nbytes for array in inputs.values()) > MOST_EXERCISED_BYTES:
            return None
        inputs = {name: array.copy() for name, array in inputs.items()}
    return msgspec.structs.replace(request, inputs=inputs, priority=Priority.BATCH)
