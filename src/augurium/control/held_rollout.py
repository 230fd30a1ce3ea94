"""An active rollout in memory: as it was written down, and as it is."""

import asyncio
from typing import NamedTuple

from msgspec import convert, structs, to_builtins

from augurium.control.rollout_state import Move, RolloutState, with_split
from augurium.registry.rollout_records import Rollout, RolloutNote, RolloutUpdate

# of a rollout whose outcome is decided and being carried out
STATUS_OF = {"promoted": "promoting", "rolled_back": "rolling_back"}


class Standing(NamedTuple):
    """What of a rollout a decision changes."""

    state: RolloutState
    status: str
    reason: str
    notes: tuple[RolloutNote, ...] = ()
    unsaved: bool = False


class HeldRollout:
    """One rollout; `turn` is held by whoever changes it. `tick` is the last that was judged.

    `settled` says that the world is as the state wants it, as far as this process knows, `pressing`
    that something was decided that is not written down, `urgent` that it must not wait for that.
    """

    def __init__(self, rollout: Rollout, now: float) -> None:
        self.rollout = rollout
        self.standing = Standing(
            convert(rollout.state, RolloutState), rollout.status, rollout.reason
        )
        self.settled = False
        self.urgent = False
        self.pressing = False
        self.saved_at = now
        self.tick = -1
        self.turn = asyncio.Lock()
        self.problem = ""
        self._began = now - self.state.elapsed_s

    @property
    def state(self) -> RolloutState:
        """How it stands."""
        return self.standing.state

    def elapsed_s(self, now: float) -> float:
        """How long it was looked at, whatever wall clocks did; not while no control ran."""
        return now - self._began

    def change(self, **fields: object) -> None:
        """Changes the state; it is written down with the next decision."""
        self.standing = self.standing._replace(state=structs.replace(self.state, **fields))

    def make(self, move: Move, now: float, by: str) -> None:
        """Takes over what was decided."""
        state, outcome = self.state, move.outcome
        policy = state.policy if move.split is None else with_split(state.policy, move.split)
        status, reason = self.standing.status, self.standing.reason
        if outcome:
            status = STATUS_OF.get(outcome, "ending")
        elif move.paused is not None:
            status = "paused" if move.paused else "running"
        self.standing = Standing(
            structs.replace(
                state,
                course=move.course,
                policy=state.before if outcome else policy,
                outcome=outcome or state.outcome,
                winner=move.winner if outcome else state.winner,
                by=by if outcome else state.by,
                elapsed_s=self.elapsed_s(now),
                verdict=state.verdict if move.verdict is None else move.verdict,
            ),
            status,
            reason if move.reason is None else move.reason,
            (*self.standing.notes, *move.notes),
            True,
        )
        self.settled = self.settled and self.state.policy == state.policy and not outcome
        self.urgent = self.urgent or move.urgent
        changed = self.state.policy != state.policy or move.paused is not None
        self.pressing = self.pressing or changed or bool(outcome or move.notes)

    def ended(self, note: RolloutNote) -> RolloutUpdate:
        """The last update: the outcome is in effect."""
        self.standing = self.standing._replace(
            status=self.state.outcome, notes=(*self.standing.notes, note), unsaved=True
        )
        return structs.replace(self.update, ended=True)

    @property
    def update(self) -> RolloutUpdate:
        """What is to be written down."""
        return RolloutUpdate(
            state=to_builtins(self.state),
            status=self.standing.status,
            reason=self.standing.reason,
            notes=self.standing.notes,
        )

    def saved(self, rollout: Rollout) -> None:
        """Written down as it is."""
        self.rollout = rollout
        self.standing = self.standing._replace(notes=(), unsaved=False)
        self.pressing = False
