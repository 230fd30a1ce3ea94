"""Writes down what was decided about a rollout, and then makes the world so.

In this order: whoever finds a rollout in the registry knows what the world shall look like. One
thing does not wait for a database that does not answer: a rollback. Engines are told of it at once,
and it is written down later.
"""

import asyncio

import structlog
from msgspec import to_builtins

from augurium.control.held_rollout import HeldRollout
from augurium.control.rollout_effects import ACTOR, Effects
from augurium.core.errors import AuguriumError, Conflict, InsufficientStorage, NotReady
from augurium.registry.rollout_records import Rollout, RolloutNote, RolloutUpdate
from augurium.registry.rollout_store import RolloutStore

# how long a rollback waits for the database before engines are told without it
PATIENCE_S = 0.25
SAID = {
    "promoted": "was promoted",
    "rolled_back": "was rolled back",
    "completed": "is completed",
    "failed": "could not go on",
}
AWAY = (NotReady, InsufficientStorage)
log = structlog.get_logger()


class RolloutKeeper:
    """Over the store and the effects; keeps nothing itself."""

    def __init__(self, store: RolloutStore, effects: Effects) -> None:
        self.rollbacks: dict[tuple[str, str], int] = {}
        self._store = store
        self._effects = effects

    async def keep(self, held: HeldRollout, actor: str = ACTOR) -> None:
        """Writes down what is new.

        Raises NotReady and the like when the database cannot be used; engines know of a rollback
        then. Raises Conflict if somebody else has ended it.
        """
        if not held.standing.unsaved:
            return
        saving = asyncio.ensure_future(self._save(held, held.update, actor))
        if held.urgent:
            await asyncio.wait([saving], timeout=PATIENCE_S)
            if not saving.done() or isinstance(saving.exception(), AWAY):
                self._effects.divert(held.rollout.model, held.state.policy)
        await saving

    async def settle(self, held: HeldRollout, actor: str | None = None) -> bool:
        """Makes the world as the state says, which is written down; whether it has ended with it.

        Raises Conflict if somebody else has changed the traffic policy meanwhile.
        """
        state, model = held.state, held.rollout.model
        by = actor or state.by or ACTOR
        if not held.settled:
            if state.outcome == "promoted" and state.winner is not None:
                await self._effects.make_default(model, state.winner, by)
            if not state.disturbed:
                made = await self._effects.set_policy(
                    model, state.policy, by, _why(held), state.traffic_revision
                )
                held.change(traffic_revision=made.revision)
            held.settled = True
        if state.outcome:
            await self._end(held, by)
        return bool(state.outcome)

    async def _end(self, held: HeldRollout, actor: str) -> None:
        outcome, reason = held.state.outcome, held.standing.reason
        text = f"{held.rollout.kind} of {held.rollout.model}@{held.rollout.version} {SAID[outcome]}"
        note = RolloutNote(
            kind=outcome, text=f"{text}: {reason}" if reason else text, action="end_rollout"
        )
        await self._save(held, held.ended(note), actor)
        if outcome == "rolled_back":
            key = (held.rollout.model, str(held.state.verdict.get("cause") or "operator"))
            self.rollbacks[key] = self.rollbacks.get(key, 0) + 1
        log.info("rollout ended", rollout=held.rollout.id, outcome=outcome, reason=reason)

    async def _save(self, held: HeldRollout, update: RolloutUpdate, actor: str) -> None:
        known = held.rollout
        try:
            saved = await asyncio.to_thread(
                self._store.save, known.id, known.revision, update, actor
            )
        except Conflict:
            saved = await asyncio.to_thread(self._store.get, known.id)
            # an answer that was lost: what is there is what was to be written
            if not _is(saved, update):
                raise
        held.saved(saved)


def _is(rollout: Rollout, update: RolloutUpdate) -> bool:
    return rollout.state == to_builtins(update.state) and rollout.status == update.status


def _why(held: HeldRollout) -> str:
    """The reason in the history of the traffic policy."""
    reason = held.standing.reason
    text = f"{held.rollout.kind} {held.rollout.id[:8]} of version {held.rollout.version}"
    return f"{text}: {reason}"[:500] if reason else text


def told(error: AuguriumError) -> NotReady:
    """What an operator is told whose rollback was done without the database."""
    return NotReady(
        f"engines have been told, and it will be written down as soon as possible: {error}"
    )
