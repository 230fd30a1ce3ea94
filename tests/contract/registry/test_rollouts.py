from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument, NotFound
from augurium.registry.rollout_records import Rollout, RolloutDraft, RolloutNote, RolloutUpdate
from augurium.registry.rollout_store import RolloutStore
from tests.contract.registry.conftest import KeptRollouts, MakeDraft


@pytest.fixture
def store(kept_rollouts: KeptRollouts, draft: MakeDraft) -> RolloutStore:
    """A store whose registry has two versions of `fraud` and one of `churn`."""
    for model in ("fraud", "fraud", "churn"):
        kept_rollouts.registry.register(model, draft(), "ann")
    return kept_rollouts.store


def a_canary(**fields: Any) -> RolloutDraft:
    given: dict[str, Any] = {
        "model": "fraud",
        "kind": "canary",
        "version": 2,
        "plan": {"steps": [5, 100]},
        "state": {"step": 0},
        "status": "running",
    }
    return RolloutDraft(**(given | fields))


def update(**fields: Any) -> RolloutUpdate:
    return RolloutUpdate(**({"state": {"step": 1}, "status": "running"} | fields))


def test_a_started_rollout_is_found_with_its_plan_and_state(
    store: RolloutStore, clock: ManualClock
) -> None:
    started = store.start(a_canary(), "ann")

    assert store.get(started.id) == started
    assert (started.model, started.version, started.created_by) == ("fraud", 2, "ann")
    assert (started.plan, started.state) == ({"steps": [5, 100]}, {"step": 0})
    assert (started.created_at, started.revision, started.active) == (clock.now(), 1, True)
    assert [event.kind for event in store.events(started.id)] == ["started"]


def test_a_second_rollout_of_a_model_is_refused_with_who_and_when(store: RolloutStore) -> None:
    store.start(a_canary(), "ann")

    with pytest.raises(Conflict, match=r"started by ann at 2026-01-01 00:00:00 UTC.*abort fraud"):
        store.start(a_canary(kind="experiment"), "bob")

    assert store.start(a_canary(model="churn", version=1), "bob").active


def test_of_operators_who_start_at_once_one_wins(store: RolloutStore) -> None:
    def start(number: int) -> Rollout | AuguriumError:
        try:
            return store.start(a_canary(), f"operator-{number}")
        except Conflict as error:
            return error

    with ThreadPoolExecutor(8) as operators:
        outcomes = list(operators.map(start, range(8)))

    (winner,) = [one for one in outcomes if isinstance(one, Rollout)]
    assert list(store.find("fraud", active=True)) == [winner]
    assert all(winner.created_by in str(one) for one in outcomes if one is not winner)


@pytest.mark.parametrize("fields", [{"model": "nobody"}, {"version": 3}])
def test_a_rollout_needs_a_version_that_there_is(
    store: RolloutStore, fields: dict[str, Any]
) -> None:
    with pytest.raises(NotFound):
        store.start(a_canary(**fields), "ann")


def test_a_rollout_of_a_deleted_version_is_refused(
    store: RolloutStore, kept_rollouts: KeptRollouts
) -> None:
    kept_rollouts.registry.delete_version("fraud", 2, "ann")

    with pytest.raises(Conflict, match="restore it first"):
        store.start(a_canary(), "ann")


def test_a_change_is_made_by_whoever_saw_the_newest_state(store: RolloutStore) -> None:
    started = store.start(a_canary(), "ann")

    changed = store.save(started.id, 1, update(reason="25 %"), "loop")
    with pytest.raises(Conflict, match="revision 2, not 1"):
        store.save(started.id, 1, update(state={"step": 9}), "bob")

    assert (changed.revision, changed.state, changed.reason) == (2, {"step": 1}, "25 %")
    assert store.get(started.id) == changed


def test_of_changes_at_once_one_is_made(store: RolloutStore) -> None:
    started = store.start(a_canary(), "ann")

    def save(number: int) -> bool:
        try:
            store.save(started.id, 1, update(state={"by": number}), "ann")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as writers:
        made = list(writers.map(save, range(8)))

    assert sum(made) == 1
    assert store.get(started.id).state == {"by": made.index(True)}


def test_an_ended_rollout_frees_its_model_and_changes_no_more(
    store: RolloutStore, clock: ManualClock
) -> None:
    started = store.start(a_canary(), "ann")
    clock.advance(60)
    ended = store.save(started.id, 1, update(status="promoted", ended=True), "loop")
    clock.advance(1)
    second = store.start(a_canary(version=1), "bob")

    assert ended.ended_at is not None
    assert not ended.active
    assert list(store.find("fraud")) == [second, ended]
    assert list(store.find("fraud", active=False)) == [ended]
    with pytest.raises(Conflict, match="has ended: promoted"):
        store.save(started.id, 2, update(), "loop")


def test_what_happened_is_kept_in_order_and_decisions_are_in_the_audit_log(
    store: RolloutStore, kept_rollouts: KeptRollouts
) -> None:
    one = store.start(a_canary(), "ann")
    other = store.start(a_canary(model="churn", version=1), "ann")
    notes = (
        RolloutNote(kind="verdict", text="no difference", numbers={"p": 0.4}),
        RolloutNote(kind="step", text="25 %", action="advance_rollout"),
    )
    before = kept_rollouts.registry.revision()
    store.save(one.id, 1, update(notes=notes), "loop")

    events = store.events(one.id)
    assert [(event.seq, event.kind, event.actor) for event in events] == [
        (1, "started", "ann"),
        (2, "verdict", "loop"),
        (3, "step", "loop"),
    ]
    assert events[1].numbers == {"p": 0.4}
    assert [event.rollout for event in store.events()] == [one.id, other.id, one.id, one.id]
    (entry,) = kept_rollouts.registry.audit("fraud", limit=1)
    assert (entry.action, entry.actor, entry.version) == ("advance_rollout", "loop", 2)
    assert entry.details == {"rollout": one.id, "text": "25 %"}
    assert kept_rollouts.registry.revision() == before + 1
    assert kept_rollouts.registry.verify_audit().intact


def test_a_reader_goes_on_after_the_last_event_that_it_saw(store: RolloutStore) -> None:
    started = store.start(a_canary(), "ann")
    seen = store.newest_event()
    store.save(started.id, 1, update(notes=(RolloutNote(kind="step", text="x"),)), "loop")

    (fresh,) = store.events(after=seen)
    assert (fresh.kind, fresh.number) == ("step", store.newest_event())
    assert list(store.events(after=fresh.number)) == []


def test_whoever_may_not_see_a_model_sees_nothing_of_its_rollouts(store: RolloutStore) -> None:
    store.start(a_canary(), "ann")
    other = store.start(a_canary(model="churn", version=1), "ann")

    assert list(store.find(sees="churn".__eq__)) == [other]
    assert {event.model for event in store.events(sees="churn".__eq__)} == {"churn"}


@pytest.mark.parametrize("rollout", ["", "nobody", "nul\0", "' OR 1=1 --"])
def test_what_is_not_there_is_not_found(store: RolloutStore, rollout: str) -> None:
    with pytest.raises(NotFound, match="rollout history"):
        store.get(rollout)
    with pytest.raises(NotFound, match="rollout history"):
        store.save(rollout, 1, update(), "ann")
    with pytest.raises(NotFound, match="rollout history"):
        store.events(rollout)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_has_its_bounds(store: RolloutStore, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="1 to 1000"):
        store.find(limit=limit)
    with pytest.raises(InvalidArgument, match="1 to 1000"):
        store.events(limit=limit)
