"""Shadow traffic: a share of a model's requests is copied to another version, whose answers are
compared and given to nobody.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import MAX_VERSION
from augurium.core.traffic_slots import SLOTS

MOST_EXAMPLES = 20
# how far a percentage may be from a whole number of slots
ROUNDING = 1e-6


class Comparison(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When two answers are the same.

    A number b is that of a where |b - a| <= `absolute` + `relative` * |a|; NaN is NaN. Whole
    numbers, texts and booleans are labels, which are the same or not.
    """

    absolute: Annotated[float, Meta(ge=0)] = 1e-6
    relative: Annotated[float, Meta(ge=0)] = 1e-4
    ranking: bool = False
    """Rows of several numbers are scores of items, of which the order matters and no value: they
    are the same when the `top_k` highest are the same items.
    """
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 10


class Shadow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A version that is given copies of requests after they were answered. It delays nobody: what
    there is no room for is dropped, and counted.
    """

    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    percent: Annotated[float, Meta(gt=0, le=100)]
    """Of the requests, in steps of 0.01."""
    by: Literal["request", "unit", "random"] = "request"
    """Chosen by the request's id, or the unit that was assigned to a variant, so that the same ones
    are chosen each time; what has none is chosen at random.
    """
    baseline: Literal["any", "default"] = "any"
    """Whose answers are compared: those of any other version, or of the default one alone."""
    compare: Comparison = Comparison()
    most_in_flight: Annotated[int, Meta(ge=1, le=1000)] = 8
    """Copies that an engine works on at a time."""
    timeout_ms: Annotated[float, Meta(gt=0, le=600_000)] = 10_000.0
    """How long a copy may take."""
    most_bytes: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024)] = 256 * 1024
    """Requests with larger tensors are not copied."""
    examples: Annotated[int, Meta(ge=0, le=MOST_EXAMPLES)] = MOST_EXAMPLES
    """Rows with the largest differences that are shown, with their input; 0 to keep none."""

    @property
    def slots(self) -> int:
        """The percentage in slots of 0.01 percent."""
        return round(self.percent * SLOTS / 100)


def check_shadows(shadows: tuple[Shadow, ...]) -> None:
    """Raises InvalidArgument for shadows that cannot be meant."""
    seen: set[int] = set()
    for shadow in shadows:
        if shadow.version in seen:
            raise InvalidArgument(
                f"version {shadow.version} is a shadow twice; say its percentage once"
            )
        seen.add(shadow.version)
        if not shadow.slots or abs(shadow.percent * SLOTS / 100 - shadow.slots) > ROUNDING:
            raise InvalidArgument(
                f"{shadow.percent} % for the shadow {shadow.version} is finer than 0.01 %; round it"
            )
