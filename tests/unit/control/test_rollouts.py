"""Rollouts: what is decided is written down first and done then, whoever dies in between."""

import pytest

from augurium.core.errors import Conflict, InvalidArgument, NotFound, NotReady
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule
from augurium.registry.records import TrafficChange
from augurium.registry.rollout_records import Rollout, RolloutNote, RolloutUpdate
from tests.support.rollouts import TICK_S, World, split_of

FIRST = {"v1": 95.0, "v2": 5.0}
SECOND = {"v1": 50.0, "v2": 50.0}


@pytest.fixture
async def world() -> World:
    return World()


def kinds(world: World, rollout: Rollout) -> list[str]:
    return [event.kind for event in world.store.events(rollout.id)]


async def test_a_good_version_gets_all_requests_and_becomes_the_default(world: World) -> None:
    started = await world.begin()
    assert world.weights == FIRST
    await world.tick()
    assert world.weights == SECOND
    for _ in range(2):
        await world.tick()

    ended = world.store.get(started.id)
    assert (ended.status, ended.active) == ("promoted", False)
    assert world.registry.model("fraud").default_version == 2
    assert world.effects.engines is None
    assert kinds(world, started) == ["started", "step", "step", "promoted"]
    assert not world.rollouts.active


async def test_a_bad_version_loses_its_requests_and_the_default_stays(world: World) -> None:
    started = await world.begin()
    await world.tick()
    await world.tick(errors=12)

    ended = world.store.get(started.id)
    assert (ended.status, ended.reason) == ("rolled_back", "12 errors")
    assert world.registry.model("fraud").default_version == 1
    assert world.effects.engines is None
    assert world.rollouts.keeper.rollbacks == {("fraud", "errors"): 1}


async def test_rules_of_the_traffic_policy_survive_a_rollout(world: World) -> None:
    rule = TrafficRule("header:team", 1, ("risk",))
    before = TrafficPolicy(rules=(rule,))
    world.registry.set_traffic("fraud", TrafficChange(policy=before), "ann")
    await world.begin()
    during = world.effects.engines
    for _ in range(3):
        await world.tick()

    assert during is not None
    assert (during.rules, len(during.split)) == ((rule,), 2)
    assert world.effects.engines == before


async def test_a_model_with_a_split_of_its_own_is_left_alone(world: World) -> None:
    theirs = TrafficPolicy(split=split_of(1, 2, 20.0))
    world.registry.set_traffic("fraud", TrafficChange(policy=theirs), "bob")

    with pytest.raises(Conflict, match="traffic clear fraud"):
        await world.begin()
    assert list(world.store.find()) == []


async def test_a_second_rollout_is_refused_and_changes_nothing(world: World) -> None:
    await world.begin("ann")

    with pytest.raises(Conflict, match="started by ann"):
        await world.begin("bob")
    assert world.weights == FIRST
    assert len(world.rollouts.active) == 1


async def test_a_plan_that_cannot_be_starts_nothing(world: World) -> None:
    with pytest.raises(InvalidArgument, match="names no version"):
        await world.rollouts.begin("fraud", "canary", {}, "ann")
    with pytest.raises(InvalidArgument, match="expected one of canary"):
        await world.rollouts.begin("fraud", "wild", {"version": 2}, "ann")
    with pytest.raises(NotFound):
        await world.rollouts.begin("nobody", "canary", {"version": 2}, "ann")
    with pytest.raises(NotFound):
        await world.begin(version=7)

    assert list(world.store.find()) == []


async def test_a_version_that_is_not_deployed_ends_the_start_with_the_reason(world: World) -> None:
    world.registry.set_deployed("fraud", 2, False, "ann")

    with pytest.raises(Conflict, match="not deployed"):
        await world.begin()
    (failed,) = world.store.find()
    assert (failed.status, failed.active) == ("failed", False)
    assert world.registry.model("fraud").traffic is None


async def test_a_paused_rollout_keeps_its_weights_and_its_limits(world: World) -> None:
    started = await world.begin()
    paused = await world.rollouts.order(started.id, "pause", "bob", "lunch")
    await world.tick()
    assert (paused.status, paused.reason) == ("paused", "paused by bob: lunch")
    assert world.weights == FIRST
    with pytest.raises(Conflict):
        await world.rollouts.order(started.id, "pause", "bob")

    resumed = await world.rollouts.order(started.id, "resume", "bob")
    await world.tick()
    assert resumed.status == "running"
    assert world.weights == SECOND
    await world.rollouts.order(started.id, "pause", "bob")
    await world.tick(errors=10)
    assert world.store.get(started.id).status == "rolled_back"


async def test_an_operator_promotes_without_waiting(world: World) -> None:
    started = await world.begin()
    promoted = await world.rollouts.order(started.id, "promote", "bob", "seen enough")

    assert promoted.status == "promoted"
    assert world.registry.model("fraud").default_version == 2
    assert world.effects.done[-2:] == ["default 2 by bob", "set by bob"]


async def test_an_operator_aborts(world: World) -> None:
    started = await world.begin()
    aborted = await world.rollouts.order(started.id, "abort", "bob", "wrong file")

    assert (aborted.status, aborted.reason) == ("rolled_back", "aborted by bob: wrong file")
    assert world.effects.engines is None
    with pytest.raises(Conflict, match="has ended"):
        await world.rollouts.order(started.id, "resume", "bob")


async def test_every_order_and_decision_is_in_the_audit_log(world: World) -> None:
    started = await world.begin()
    await world.tick()
    await world.rollouts.order(started.id, "pause", "bob")
    await world.rollouts.order(started.id, "resume", "bob")
    await world.tick()
    await world.tick()

    entries = [
        (entry.action, entry.actor)
        for entry in reversed(world.registry.audit("fraud"))
        if entry.action.endswith("_rollout")
    ]
    assert entries == [
        ("start_rollout", "ann"),
        ("advance_rollout", "rollouts"),
        ("pause_rollout", "bob"),
        ("resume_rollout", "bob"),
        ("advance_rollout", "rollouts"),
        ("end_rollout", "rollouts"),
    ]


@pytest.mark.parametrize("ticks", [0, 1, 2])
async def test_another_control_goes_on_where_the_one_before_was(world: World, ticks: int) -> None:
    started = await world.begin()
    for _ in range(ticks):
        await world.tick()
    world.start_control()
    await world.rollouts.turn()
    for _ in range(3 - ticks):
        await world.tick()

    assert world.store.get(started.id).status == "promoted"
    assert kinds(world, started) == ["started", "step", "step", "promoted"]


async def test_what_was_written_down_and_not_done_is_done_by_the_next_control(
    world: World,
) -> None:
    started = await world.begin()
    # the registry's traffic is away when the decision has been written down: nobody is told
    world.effects.away = True
    await world.tick()
    assert world.weights == FIRST
    assert world.store.get(started.id).state["course"]["step"] == 1

    world.effects.away = False
    world.start_control()
    await world.rollouts.turn()
    assert world.weights == SECOND


@pytest.mark.parametrize("errors", [0, 10])
async def test_an_outcome_that_was_written_down_is_carried_out_by_the_next_control(
    world: World, errors: int
) -> None:
    started = await world.begin()
    await world.tick()
    await world.tick()
    world.effects.away = True
    await world.tick(errors)
    decided = world.store.get(started.id)
    assert decided.status == ("rolling_back" if errors else "promoting")
    assert decided.active

    world.effects.away = False
    world.start_control()
    await world.rollouts.turn()
    assert world.store.get(started.id).status == ("rolled_back" if errors else "promoted")
    assert world.registry.model("fraud").default_version == (1 if errors else 2)
    assert world.effects.engines is None


async def test_nothing_is_done_that_is_not_written_down(world: World) -> None:
    started = await world.begin()
    world.store.away = True
    for _ in range(2):
        await world.tick()

    assert world.weights == FIRST
    world.store.away = False
    await world.rollouts.turn()
    assert world.weights == {"v1": 0.0, "v2": 100.0}
    assert kinds(world, started) == ["started", "step", "step"]


async def test_a_rollback_does_not_wait_for_the_database(world: World) -> None:
    started = await world.begin()
    world.store.away = world.effects.away = True
    await world.tick(errors=10)

    assert (world.effects.engines, world.effects.diverted) == (None, True)
    world.store.away = world.effects.away = False
    await world.rollouts.turn()
    assert world.store.get(started.id).status == "rolled_back"
    assert (world.effects.engines, world.effects.diverted) == (None, False)
    assert world.registry.model("fraud").traffic is not None


async def test_an_abort_does_not_wait_for_the_database_either(world: World) -> None:
    started = await world.begin()
    world.store.away = world.effects.away = True

    with pytest.raises(NotReady, match="engines have been told"):
        await world.rollouts.order(started.id, "abort", "bob")
    assert world.effects.diverted
    world.store.away = world.effects.away = False
    await world.rollouts.turn()
    assert world.store.get(started.id).status == "rolled_back"


async def test_an_order_that_cannot_be_written_down_is_refused_and_forgotten(
    world: World,
) -> None:
    started = await world.begin()
    world.store.away = True
    with pytest.raises(NotReady):
        await world.rollouts.order(started.id, "promote", "bob")
    world.store.away = False
    await world.rollouts.turn()

    assert world.weights == FIRST
    assert world.store.get(started.id).status == "running"


async def test_a_lost_answer_of_the_database_does_nothing_twice(world: World) -> None:
    started = await world.begin()
    world.store.silent = True
    await world.tick()
    await world.rollouts.turn()
    await world.rollouts.turn()

    assert world.weights == SECOND
    assert kinds(world, started) == ["started", "step"]


async def test_a_version_that_vanishes_ends_the_rollout_with_the_reason(world: World) -> None:
    started = await world.begin()
    world.effects.missing.add(2)
    await world.tick()

    ended = world.store.get(started.id)
    assert (ended.status, ended.active) == ("failed", False)
    assert ended.reason == "fraud@2 is not deployed any more"
    assert world.effects.engines is None


async def test_a_policy_that_somebody_else_sets_pauses_the_rollout_until_people_say_more(
    world: World,
) -> None:
    started = await world.begin()
    theirs = TrafficPolicy(rules=(TrafficRule("header:team", 1, ("risk",)),))
    world.registry.set_traffic("fraud", TrafficChange(policy=theirs), "bob")
    world.effects.engines = theirs
    await world.tick()

    paused = world.store.get(started.id)
    assert (paused.status, paused.reason) == ("paused", "changed by bob")
    await world.tick()
    assert world.effects.engines == theirs
    assert kinds(world, started) == ["started", "paused"]
    await world.rollouts.order(started.id, "resume", "ann")
    await world.tick()
    assert world.weights == SECOND


async def test_a_policy_that_somebody_else_sets_survives_the_end_of_the_rollout(
    world: World,
) -> None:
    started = await world.begin()
    theirs = TrafficPolicy(rules=(TrafficRule("header:team", 1, ("risk",)),))
    world.registry.set_traffic("fraud", TrafficChange(policy=theirs), "bob")
    world.effects.engines = theirs
    await world.tick()
    aborted = await world.rollouts.order(started.id, "abort", "ann")

    assert aborted.status == "rolled_back"
    assert world.effects.engines == theirs


async def test_a_rollout_of_somebody_elses_end_is_let_go(world: World) -> None:
    started = await world.begin()
    held = world.rollouts.active[0].rollout
    note = RolloutNote(kind="aborted", text="by hand")
    update = RolloutUpdate(state=held.state, status="failed", ended=True, notes=(note,))
    world.store.save(started.id, held.revision, update, "bob")
    await world.tick()

    assert not world.rollouts.active


async def test_what_a_version_did_in_an_earlier_rollout_is_not_held_against_it(
    world: World,
) -> None:
    await world.begin()
    await world.tick(errors=12)
    # the last of its requests fail in the tick in which the next one begins
    await world.ticks.step()
    world.fail(12)
    again = await world.begin()
    world.clock.advance(TICK_S)
    await world.ticks.step()
    await world.rollouts.turn()
    await world.tick()

    assert world.store.get(again.id).status == "running"


async def test_an_experiment_has_every_request_recorded_as_long_as_it_lives(
    world: World,
) -> None:
    started = await world.rollouts.begin("fraud", "experiment", {"version": 2}, "ann")
    during = world.effects.exposed
    world.effects.exposed = False
    world.start_control()
    await world.rollouts.turn()
    after_a_restart = world.effects.exposed
    await world.rollouts.order(started.id, "abort", "ann")

    assert (during, after_a_restart, world.effects.exposed) == (True, True, False)


async def test_what_a_plan_does_not_need_is_not_recorded(world: World) -> None:
    await world.begin()

    assert not world.effects.exposed


async def test_the_picture_has_a_point_for_every_tick(world: World) -> None:
    await world.begin()
    await world.tick()
    (held,) = world.rollouts.active

    (point,) = held.state.points
    assert point.weights == FIRST
    assert {label: arm.requests for label, arm in point.arms.items()} == {"v1": 20, "v2": 20}
    assert point.arms["v1"].p99_ms == pytest.approx(10, rel=0.02)


async def test_a_wall_clock_that_is_set_makes_nothing_older(world: World) -> None:
    await world.begin()
    await world.tick()
    (held,) = world.rollouts.active
    before = held.state.elapsed_s
    # the next control starts with another wall clock; what was watched counts alone
    world.start_control()
    world.clock.advance(3600)
    world.start_control()
    await world.rollouts.turn()
    await world.tick()

    (held,) = world.rollouts.active
    assert before <= held.state.elapsed_s <= before + 10
