"""The port of a course: what decides in one kind of rollout, a canary or an experiment."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from augurium.control.rollout_state import Move, RolloutState
from augurium.control.variant_ticks import Tick
from augurium.core.traffic_policy import Variant
from augurium.registry.records import Model
from augurium.registry.rollout_records import Rollout


class Beginning(Struct, frozen=True, kw_only=True):
    """How a rollout begins: the version that it is about and the split of its first moment.

    `unit` and `salt` are those of its traffic policy; empty keeps what the model has. `plan` is
    what is kept of the order, with everything that was left out.
    """

    plan: dict[str, Any]
    version: int
    control: int
    split: tuple[Variant, ...]
    course: dict[str, Any]
    unit: str = ""
    salt: str = ""


class Watched(NamedTuple):
    """What was seen of a rollout since the last time.

    `ticks` are empty if nobody asked. `now` counts the seconds since it began; they never jump, and
    rest while no control runs. `at` is the wall clock in seconds since 1970, and `fault` says why
    its version cannot serve, if it cannot.
    """

    ticks: Sequence[Tick]
    now: float
    at: float = 0.0
    fault: str = ""


class Course(Protocol):
    """Judges the rollouts of one kind. It keeps nothing: what it knows is in the state."""

    def exposes(self, plan: dict[str, Any]) -> bool:
        """Whether a rollout with this plan needs a record of every request."""
        ...

    def begin(self, model: Model, plan: dict[str, Any]) -> Beginning:
        """Reads a plan. Raises InvalidArgument for one that cannot be, Conflict for a model that
        is not ready for it.
        """
        ...

    def tick_s(self, rollout: Rollout) -> float:
        """How long the ticks are that it wants."""
        ...

    async def advance(self, rollout: Rollout, state: RolloutState, watched: Watched) -> Move | None:
        """What to do after what was seen. None if nothing has changed."""
        ...

    def obey(
        self, rollout: Rollout, state: RolloutState, order: str, reason: str, now: float
    ) -> Move:
        """What an operator changes who wants to pause, resume, promote or abort it.

        Raises Conflict for what cannot be done now.
        """
        ...

    async def peek(self, rollout: Rollout, state: RolloutState) -> dict[str, Any]:
        """The verdict as of now, between two looks; it decides nothing."""
        ...
