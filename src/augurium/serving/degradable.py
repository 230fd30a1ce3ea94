"""A version as those see it that guard it and answer in its place."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from augurium.core.identifiers import ModelRef
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse
from augurium.core.signature import Signature
from augurium.serving.metrics import VersionMetrics
from augurium.serving.validation import Prepared


class Degradable(Protocol):
    """What `ServedVersion` has for them."""

    signature: Signature
    metrics: VersionMetrics
    in_flight: int

    @property
    def max_batch_size(self) -> int: ...

    @property
    def overloaded(self) -> bool: ...

    def submit(self, request: InferenceRequest) -> Awaitable[Answer]: ...

    def answers(self, request: InferenceRequest) -> AsyncGenerator[Answer, None]: ...

    def prepare(self, request: InferenceRequest) -> Prepared: ...

    def stale(self, prepared: Prepared, deadline: float, max_age_s: float) -> Answer | None: ...

    def response(self, request: InferenceRequest, answer: Answer) -> InferenceResponse: ...


# the version of another model. Raises NotFound and NotReady
Find = Callable[[ModelRef], Degradable]
