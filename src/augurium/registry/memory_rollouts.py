"""The store of rollouts in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Iterable, Sequence

from augurium.core.clock import Clock
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.registry import Sees
from augurium.registry.rollout_records import (
    Rollout,
    RolloutDraft,
    RolloutEvent,
    RolloutNote,
    RolloutUpdate,
)
from augurium.registry.rollout_store import (
    MOST_EVENTS,
    check_current,
    check_event_limit,
    check_free,
    rollout_not_found,
    start_note,
    started,
    updated,
)
from augurium.registry.rules import check_live


class MemoryRollouts:
    """Keeps everything until the process ends; the registry has the models and the audit log."""

    def __init__(self, registry: MemoryRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.RLock()
        self._rollouts: dict[str, Rollout] = {}
        self._events: list[RolloutEvent] = []

    def start(self, draft: RolloutDraft, actor: str) -> Rollout:
        with self._lock:
            version = self._registry.version(draft.model, draft.version)
            check_live(self._registry.model(draft.model), version)
            active = [one for one in self._of(draft.model) if one.active]
            check_free(draft.model, active[0] if active else None)
            rollout = started(draft, self._clock.now(), actor)
            return self._kept(rollout, (start_note(draft),), actor)

    def save(self, rollout: str, revision: int, update: RolloutUpdate, actor: str) -> Rollout:
        with self._lock:
            known = self.get(rollout)
            check_current(known, revision)
            return self._kept(updated(known, update, self._clock.now()), update.notes, actor)

    def get(self, rollout: str) -> Rollout:
        with self._lock:
            if rollout not in self._rollouts:
                raise rollout_not_found(rollout)
            return self._rollouts[rollout]

    def find(
        self,
        model: str | None = None,
        active: bool | None = None,
        limit: int = 100,
        sees: Sees | None = None,
    ) -> Sequence[Rollout]:
        check_event_limit(limit)
        with self._lock:
            found = self._of(model)
        return [
            one
            for one in found
            if (active is None or one.active == active) and (sees is None or sees(one.model))
        ][:limit]

    def events(
        self,
        rollout: str | None = None,
        after: int = 0,
        limit: int = MOST_EVENTS,
        sees: Sees | None = None,
    ) -> Sequence[RolloutEvent]:
        check_event_limit(limit)
        if rollout is not None:
            self.get(rollout)
        with self._lock:
            known = self._events[after:]
        return [
            event
            for event in known
            if rollout in (None, event.rollout) and (sees is None or sees(event.model))
        ][:limit]

    def newest_event(self) -> int:
        with self._lock:
            return len(self._events)

    def _of(self, model: str | None) -> list[Rollout]:
        found = [one for one in self._rollouts.values() if model in (None, one.model)]
        found.sort(key=lambda one: (-one.created_at.timestamp(), one.id))
        return found

    def _kept(self, rollout: Rollout, notes: Iterable[RolloutNote], actor: str) -> Rollout:
        self._rollouts[rollout.id] = rollout
        for note in notes:
            seq = sum(event.rollout == rollout.id for event in self._events) + 1
            event = RolloutEvent(
                number=len(self._events) + 1,
                rollout=rollout.id,
                model=rollout.model,
                seq=seq,
                at=self._clock.now(),
                actor=actor,
                kind=note.kind,
                text=note.text,
                numbers=note.numbers,
            )
            self._events.append(event)
            if note.action:
                details = {"rollout": rollout.id, "text": note.text} | note.numbers
                self._registry.note(actor, note.action, details, rollout.model, rollout.version)
        return rollout
