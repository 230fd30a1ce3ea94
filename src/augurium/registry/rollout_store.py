"""The port of the store of rollouts, and the rules that every adapter keeps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import structs

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.identifiers import new_id
from augurium.registry.registry import Sees
from augurium.registry.rollout_records import (
    Rollout,
    RolloutDraft,
    RolloutEvent,
    RolloutNote,
    RolloutUpdate,
)

MOST_EVENTS = 1000


class RolloutStore(Protocol):
    """Rollouts and their events, kept with the registry. Every method blocks.

    Every change is one transaction, whole or not at all; what a note calls an action is written to
    the registry's audit log in it. Raises NotReady when the database cannot be used.
    """

    def start(self, draft: RolloutDraft, actor: str) -> Rollout:
        """Starts a rollout; of several who start one of a model at once, one does.

        Raises Conflict with who and when while another one of the model is active, and NotFound for
        a version that there is not.
        """
        ...

    def save(self, rollout: str, revision: int, update: RolloutUpdate, actor: str) -> Rollout:
        """Brings a rollout up to date, if `revision` is still its newest.

        Raises NotFound, and Conflict if somebody changed it meanwhile or it has ended.
        """
        ...

    def get(self, rollout: str) -> Rollout:
        """One rollout. Raises NotFound."""
        ...

    def find(
        self,
        model: str | None = None,
        active: bool | None = None,
        limit: int = 100,
        sees: Sees | None = None,
    ) -> Sequence[Rollout]:
        """Rollouts, the newest first: of one model, active or ended ones, of models that are
        seen.
        """
        ...

    def events(
        self,
        rollout: str | None = None,
        after: int = 0,
        limit: int = MOST_EVENTS,
        sees: Sees | None = None,
    ) -> Sequence[RolloutEvent]:
        """Events with a number above `after`, the oldest first: of one rollout or of all."""
        ...

    def newest_event(self) -> int:
        """The number of the newest event of all; 0 before the first."""
        ...


def started(draft: RolloutDraft, at: datetime, actor: str) -> Rollout:
    """The rollout that a draft becomes."""
    return Rollout(**structs.asdict(draft), id=new_id(), created_at=at, created_by=actor)


def start_note(draft: RolloutDraft) -> RolloutNote:
    """What is noted of its start."""
    text = f"{draft.kind} of {draft.model}@{draft.version} started"
    return RolloutNote(
        kind="started", text=text, numbers={"plan": draft.plan}, action="start_rollout"
    )


def updated(known: Rollout, update: RolloutUpdate, at: datetime) -> Rollout:
    """A rollout after an update, which may be its end."""
    return structs.replace(
        known,
        state=update.state,
        status=update.status,
        reason=update.reason,
        ended_at=at if update.ended else None,
        revision=known.revision + 1,
    )


def rollout_not_found(rollout: str) -> NotFound:
    """What is said of an id that no rollout has."""
    return NotFound(f"there is no rollout '{rollout[:64]}'; see `augurium rollout history`")


def check_free(model: str, active: Rollout | None) -> None:
    """Raises Conflict if the model has an active rollout."""
    if active is not None:
        at = f"{active.created_at:%Y-%m-%d %H:%M:%S} UTC"
        raise Conflict(
            f"{active.kind} {active.id} of '{model}' is {active.status} already: started by"
            f" {active.created_by} at {at}; wait for it, or end it with"
            f" `augurium rollout abort {model}`"
        )


def check_current(known: Rollout, revision: int) -> None:
    """Raises Conflict for a change that was made without having seen the newest state."""
    if not known.active:
        raise Conflict(f"rollout {known.id} of '{known.model}' has ended: {known.status}")
    if known.revision != revision:
        raise Conflict(
            f"rollout {known.id} of '{known.model}' was changed meanwhile: it is at revision"
            f" {known.revision}, not {revision}; look at it again, then repeat what you want"
        )


def check_event_limit(limit: int) -> None:
    """Raises InvalidArgument unless 1 to 1000."""
    if not 1 <= limit <= MOST_EVENTS:
        raise InvalidArgument(f"limit {limit} is not allowed; expected 1 to {MOST_EVENTS}")
