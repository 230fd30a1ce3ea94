"""A version that should be here and is not: it is being loaded, or could not be. What is known of
it says what a request for it looks like, so that its model's fallback can answer.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from weakref import WeakValueDictionary

from augurium.core.errors import AuguriumError, ErrorKind, NotReady
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse
from augurium.core.serving_policy import FallbackPolicy
from augurium.serving.bulk import BulkRequest
from augurium.serving.bulk_fallback import BulkFallback
from augurium.serving.degradable import Find
from augurium.serving.described_version import DescribedVersion
from augurium.serving.fallback import Fallback
from augurium.serving.metrics import VersionMetrics
from augurium.serving.run_parameters import plain_parameters
from augurium.serving.snapshot import DesiredModel, DesiredVersion
from augurium.serving.validation import Prepared

# why something else answers
NOT_LOADED = "not_loaded"


class AbsentVersion(DescribedVersion):
    """Never answers itself. Lives on one event loop."""

    # nothing is asked of it that could be too much
    overloaded = False

    def __init__(
        self,
        desired: DesiredVersion,
        metrics: VersionMetrics,
        policy: FallbackPolicy,
        find: Find,
    ) -> None:
        """`find` gives the version of another model."""
        super().__init__(desired, metrics)
        self.policy = policy
        self._fallback = Fallback(self, policy, find)

    async def instead(self, request: InferenceRequest) -> InferenceResponse | None:
        """The answer of the first step that has one; None where none has.

        Raises InvalidArgument for what the version would not have taken.
        """
        return await self._fallback.answer(request, NOT_LOADED, ErrorKind.NOT_READY)

    async def answers_instead(
        self, request: InferenceRequest, error: AuguriumError
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers of the first step that has any. Raises as `instead`, and the error where none
        has.
        """
        begun = False
        responses = self._fallback.answers(request, NOT_LOADED, ErrorKind.NOT_READY)
        async with aclosing(responses):
            async for response in responses:
                begun = True
                yield response
        if not begun:
            raise error

    async def batches_instead(
        self, request: BulkRequest, error: AuguriumError
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers to the rows of a request of many. Raises as `answers_instead`."""
        self.check_rows()
        bulk = BulkFallback(lambda one, _: self.instead(one), request, self.max_batch_size)
        async with aclosing(bulk.all_answers(self.signature, error)) as responses:
            async for response in responses:
                yield response

    def prepare(self, request: InferenceRequest) -> Prepared:
        """See `DescribedVersion.prepare`; parameters as well, for a model that is told them."""
        if self.signature.takes_parameters or self.signature.streamed:
            plain_parameters(request.parameters)
        return super().prepare(request)

    async def answers(self, request: InferenceRequest) -> AsyncGenerator[Answer, None]:
        """Raises as `submit`."""
        yield await self.submit(request)

    async def submit(self, request: InferenceRequest) -> Answer:
        """Raises NotReady."""
        desired = self.desired
        raise NotReady(f"version {desired.version} of model '{desired.model}' is not loaded")

    def stale(self, prepared: Prepared, deadline: float, max_age_s: float) -> Answer | None:
        """Nothing: what was remembered of a version is looked up by the loaded one only."""
        return None


class AbsentVersions:
    """Those of one engine. One that is still as it was is the same object, with what it counts."""

    def __init__(self, metrics: Callable[[str, int], VersionMetrics], find: Find) -> None:
        self._metrics = metrics
        self._find = find
        # as long as the router has them
        self._known: WeakValueDictionary[tuple[str, int], AbsentVersion] = WeakValueDictionary()

    def of(self, model: DesiredModel, unready: Iterable[int]) -> Mapping[int, AbsentVersion]:
        """The versions among `unready` that something else can answer for."""
        if not model.serving.fallback.steps:
            return {}
        numbers = frozenset(unready)
        return {
            desired.version: self._version(desired, model.serving.fallback)
            for desired in model.versions
            if desired.version in numbers
        }

    def _version(self, desired: DesiredVersion, policy: FallbackPolicy) -> AbsentVersion:
        key = (desired.model, desired.version)
        found = self._known.get(key)
        if found is None or found.desired != desired or found.policy != policy:
            found = AbsentVersion(desired, self._metrics(*key), policy, self._find)
            self._known[key] = found
        return found
