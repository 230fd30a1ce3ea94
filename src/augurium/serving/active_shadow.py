"""The shadows of one model in one engine: which requests each is given, and how many it has."""

import random
from collections.abc import Iterator

from augurium.core.inference import InferenceRequest
from augurium.core.serving_policy import BreakerPolicy
from augurium.core.shadow import Shadow
from augurium.core.traffic_slots import SLOTS, SlotRun
from augurium.serving.circuit_breaker import CircuitBreaker
from augurium.traffic.assignment import Assignment

CHOSEN = "shadow"
REQUEST_ID = "x-request-id"


class ShadowedModel:
    """The shadows of one model, and its default version."""

    def __init__(self, model: str, shadows: tuple[Shadow, ...], default: int | None) -> None:
        self.default = default
        self.shadows = [ActiveShadow(model, shadow) for shadow in shadows]

    def keep(self, before: "ShadowedModel") -> None:
        """Goes on with those that are as they were before."""
        known = {one.shadow: one for one in before.shadows}
        self.shadows = [known.get(one.shadow, one) for one in self.shadows]

    def takers(
        self, request: InferenceRequest, unit: str, answered_by: int
    ) -> "Iterator[ActiveShadow]":
        """The shadows that are given a request, which a version has answered."""
        for active in self.shadows:
            shadow = active.shadow
            compared = shadow.baseline == "any" or answered_by == self.default
            if compared and answered_by != shadow.version and active.takes(request, unit):
                yield active


class ActiveShadow:
    """One shadow in one engine: which requests it is given, and how many it has."""

    def __init__(self, model: str, shadow: Shadow) -> None:
        self.model = model
        self.shadow = shadow
        self.in_flight = 0
        self.breaker = CircuitBreaker(BreakerPolicy())
        places = [SlotRun(CHOSEN, shadow.slots), SlotRun("", SLOTS - shadow.slots)]
        self._chosen = Assignment(f"shadow {shadow.version} of {model}", places)

    def takes(self, request: InferenceRequest, unit: str) -> bool:
        """Whether it is given this request, which was for this unit."""
        by = self.shadow.by
        key = (by == "unit" and unit) or (by != "random" and _id_of(request))
        if not key:
            return random.randrange(SLOTS) < self.shadow.slots  # noqa: S311 - a sample
        return self._chosen.variant(key) == CHOSEN


def _id_of(request: InferenceRequest) -> str:
    if request.id or request.header is None:
        return request.id
    return request.header(REQUEST_ID) or ""
