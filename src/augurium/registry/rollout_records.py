"""Rollouts as the registry keeps them: what was planned, how it stands, and what happened.

The registry knows nothing of canaries or experiments: plan and state are whatever JSON object the
kind of the rollout writes and reads.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct


class RolloutDraft(Struct, frozen=True, kw_only=True):
    """A rollout to be started; `version` is the one that it is about."""

    model: str
    kind: str
    version: int
    plan: dict[str, Any]
    state: dict[str, Any]
    status: str
    reason: str = ""


class Rollout(RolloutDraft, frozen=True, kw_only=True):
    """A rollout as it stands. It is active until it has `ended_at`.

    `revision` grows with every change of it, and whoever changes it names the one that they saw.
    """

    id: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None
    revision: int = 1

    @property
    def active(self) -> bool:
        """Whether it may still change what requests are answered by."""
        return self.ended_at is None


class RolloutNote(Struct, frozen=True, kw_only=True):
    """Something that happened: its kind, one sentence, and the numbers behind it.

    One with an `action` is a decision, and stands in the audit log under that name too.
    """

    kind: str
    text: str
    numbers: dict[str, Any] = {}
    action: str = ""


class RolloutEvent(Struct, frozen=True, kw_only=True):
    """A note in its place: `number` counts the events of all rollouts, `seq` those of this one."""

    number: int
    rollout: str
    model: str
    seq: int
    at: datetime
    actor: str
    kind: str
    text: str
    numbers: dict[str, Any] = {}

    @property
    def topic(self) -> str:
        """What receivers of webhooks know it as."""
        return f"rollout.{self.kind}"

    @property
    def message_id(self) -> str:
        """The same for every time that it is sent."""
        return f"{self.rollout}.{self.seq}"


class RolloutUpdate(Struct, frozen=True, kw_only=True):
    """How a rollout shall stand from now on, and what happened; `ended` takes it off the model."""

    state: dict[str, Any]
    status: str
    reason: str = ""
    ended: bool = False
    notes: tuple[RolloutNote, ...] = ()
