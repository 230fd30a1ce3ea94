from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.clock import ManualClock
from augurium.core.errors import AuguriumError, InvalidArgument, NotFound
from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.registry.records import Model, Served, TrafficChange, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


def test_the_history_says_what_served_at_a_time_and_who_decided_it(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    before = clock.now() - timedelta(days=1)
    times = []
    for change in (
        lambda: registry.register("fraud", draft(), "ann"),
        lambda: registry.set_deployed("fraud", 1, True, "bob"),
        lambda: registry.set_default("fraud", 1, "cid"),
        lambda: registry.set_alias("fraud", "champion", 1, "dee"),
    ):
        clock.advance(60)
        change()
        times.append(clock.now())

    now = registry.served_at("fraud", times[-1])

    assert now.state == "live"
    assert now.default is not None
    assert (now.default.version, now.default.actor, now.default.at) == (1, "cid", times[2])
    assert (now.aliases["champion"].actor, now.aliases["champion"].action) == ("dee", "set_alias")
    assert [(one.version, one.actor) for one in now.deployed] == [(1, "bob")]
    earlier = registry.served_at("fraud", times[2] - timedelta(microseconds=1))
    assert (earlier.default, earlier.aliases) == (None, {})
    assert [one.version for one in earlier.deployed] == [1]
    assert registry.served_at("fraud", before) == Served(model="fraud", at=before, state="unknown")


def test_the_history_of_an_unknown_model_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound, match="'ghost' does not exist"):
        registry.served_at("ghost", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_time_needs_a_zone(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")

    with pytest.raises(InvalidArgument, match="time zone"):
        registry.served_at("fraud", datetime(2026, 1, 1))


def test_times_of_changes_never_go_back(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(), "ann")
    clock.advance(-3600)
    registry.set_deployed("fraud", 1, True, "ann")

    newest, first = registry.audit()

    assert newest.at == first.at


VERSIONS = st.integers(1, 3)
NAMES = st.sampled_from(["m", "n"])
ALIASES = st.sampled_from(["champion", "challenger"])
POLICIES = st.sampled_from(
    [
        TrafficChange(policy=None),
        TrafficChange(policy=TrafficPolicy((Variant(1, 60), Variant(2, 40))), reason="r"),
        TrafficChange(policy=TrafficPolicy((Variant(2, 100),)), brings_back=1),
    ]
)
CHANGES = st.one_of(
    st.tuples(st.just("register"), NAMES),
    st.tuples(st.just("set_deployed"), NAMES, VERSIONS, st.booleans()),
    st.tuples(st.just("set_default"), NAMES, VERSIONS),
    st.tuples(st.just("clear_default"), NAMES),
    st.tuples(st.just("set_alias"), NAMES, ALIASES, VERSIONS),
    st.tuples(st.just("remove_alias"), NAMES, ALIASES),
    st.tuples(st.just("delete_version"), NAMES, VERSIONS),
    st.tuples(st.just("restore_version"), NAMES, VERSIONS),
    st.tuples(st.just("delete_model"), NAMES),
    st.tuples(st.just("restore_model"), NAMES),
    st.tuples(st.just("set_traffic"), NAMES, POLICIES),
    st.tuples(st.just("set_approval"), NAMES, VERSIONS, st.sampled_from(["approved", "none"])),
)


def test_the_history_replays_every_state_the_registry_was_in(
    open_registry: Callable[..., Registry], clock: ManualClock, draft: MakeDraft
) -> None:
    registry = open_registry()
    counter = iter(range(10**6))

    @settings(max_examples=25)
    @given(st.lists(CHANGES, min_size=1, max_size=25))
    def replays(changes: list[tuple[Any, ...]]) -> None:
        run = next(counter)
        seen: list[tuple[datetime, str, Model | None]] = []
        for action, letter, *details in changes:
            clock.advance(1)
            name = f"{letter}{run}"
            _try(registry, draft, action, name, details, f"actor{len(seen)}")
            both = (f"m{run}", f"n{run}")
            seen += [(clock.now(), one, _model(registry, one)) for one in both]
        for at, name, model in seen:
            if _model(registry, name) is not None:
                _assert_same(registry.served_at(name, at), model)

    replays()
    assert registry.verify_audit().intact


def _try(
    registry: Registry, draft: MakeDraft, action: str, name: str, details: Any, actor: str
) -> None:
    try:
        if action == "register":
            registry.register(name, draft(), actor)
        else:
            getattr(registry, action)(name, *details, actor=actor)
    except AuguriumError:
        # a refused change is no change; the history must not know of it
        return


def _model(registry: Registry, name: str) -> Model | None:
    try:
        return registry.model(name)
    except NotFound:
        return None


def _assert_same(served: Served, model: Model | None) -> None:
    if model is None:
        assert (served.state, served.default, served.aliases, served.deployed) == (
            "unknown",
            None,
            {},
            (),
        )
        return
    assert served.state == ("live" if model.deleted_at is None else "deleted")
    default = None if served.default is None else served.default.version
    assert default == model.default_version
    aliases = {alias: decision.version for alias, decision in served.aliases.items()}
    assert aliases == model.aliases
    assert tuple(decision.version for decision in served.deployed) == model.deployed_versions
    assert served.traffic == model.traffic
