"""Traffic policies in every registry: revisions, what they may name, what they hold in place."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument, NotFound
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision, TrafficRule, Variant
from augurium.core.traffic_slots import SLOTS, SlotRun
from augurium.registry.records import TrafficChange, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]
TENTH = TrafficPolicy((Variant(1, 90), Variant(2, 10)))
HALF = TrafficPolicy((Variant(1, 50), Variant(2, 50)))


@pytest.fixture
def fraud(registry: Registry, draft: MakeDraft) -> Registry:
    """Two deployed versions, the first of them the default, and a third that only is there."""
    for _ in range(3):
        registry.register("fraud", draft(), "ann")
    for version in (1, 2):
        registry.set_deployed("fraud", version, True, "ann")
    registry.set_default("fraud", 1, "ann")
    return registry


def _set(
    registry: Registry, policy: TrafficPolicy | None, actor: str = "ann", **told: object
) -> TrafficRevision:
    change = msgspec.convert({"policy": None, **told}, TrafficChange)
    return registry.set_traffic("fraud", msgspec.structs.replace(change, policy=policy), actor)


def test_a_model_has_no_policy_at_first(fraud: Registry) -> None:
    assert fraud.model("fraud").traffic is None
    assert list(fraud.traffic_history("fraud")) == []


def test_a_policy_is_a_numbered_revision_with_who_when_and_why(
    fraud: Registry, clock: ManualClock
) -> None:
    clock.advance(60)

    first = _set(fraud, TENTH, "bob", reason="try it")

    assert first == TrafficRevision(
        revision=1,
        policy=TENTH,
        slots=(SlotRun("v1", 9000), SlotRun("v2", 1000)),
        at=clock.now(),
        actor="bob",
        reason="try it",
    )
    assert fraud.model("fraud").traffic == first
    assert fraud.models()[0].traffic == first
    newest = fraud.audit("fraud")[0]
    assert (newest.action, newest.actor, newest.at) == ("set_traffic", "bob", first.at)
    assert newest.details["policy"]["split"][1] == {"version": 2, "weight": 10.0}
    assert fraud.revision() == newest.revision


def test_the_next_policy_begins_with_the_places_of_the_one_before(fraud: Registry) -> None:
    _set(fraud, TENTH)
    half = _set(fraud, HALF)
    back = _set(fraud, TENTH, brings_back=1, reason="too slow")

    assert half.slots == (SlotRun("v1", 5000), SlotRun("v2", 5000))
    assert sum(run.slots for run in back.slots) == SLOTS
    assert (back.revision, back.based_on, back.policy) == (3, 1, TENTH)
    assert [one.action for one in fraud.audit("fraud", 2)] == ["revert_traffic", "set_traffic"]


def test_a_policy_that_is_taken_away_leaves_its_places(fraud: Registry) -> None:
    before = _set(fraud, TENTH)

    cleared = _set(fraud, None, reason="done")

    assert (cleared.revision, cleared.policy, cleared.slots) == (2, None, before.slots)
    assert fraud.audit("fraud")[0].action == "clear_traffic"
    assert _set(fraud, TENTH).slots == before.slots


def test_what_is_set_already_is_no_change(fraud: Registry) -> None:
    nothing = _set(fraud, None)
    first = _set(fraud, TENTH)
    revision = fraud.revision()

    assert nothing == TrafficRevision()
    assert _set(fraud, TENTH, "bob", reason="again") == first
    assert fraud.revision() == revision


def test_the_history_is_newest_first_and_can_be_asked_in_parts(fraud: Registry) -> None:
    told = [_set(fraud, policy) for policy in (TENTH, HALF, None, TENTH)]

    assert list(fraud.traffic_history("fraud")) == told[::-1]
    assert list(fraud.traffic_history("fraud", 2)) == [told[3], told[2]]
    assert list(fraud.traffic_history("fraud", 1, before=3)) == [told[1]]
    assert list(fraud.traffic_history("fraud", before=1)) == []
    assert list(fraud.traffic_history("fraud", 2, before=99)) == [told[3], told[2]]
    with pytest.raises(NotFound):
        fraud.traffic_history("ghost")
    with pytest.raises(InvalidArgument, match="limit"):
        fraud.traffic_history("fraud", 0)


def test_the_history_of_what_served_knows_the_policy(fraud: Registry, clock: ManualClock) -> None:
    clock.advance(60)
    first = _set(fraud, TENTH)
    clock.advance(60)
    second = _set(fraud, HALF)

    now = clock.now()
    assert fraud.served_at("fraud", now).traffic == second
    assert fraud.served_at("fraud", now - timedelta(seconds=1)).traffic == first
    assert fraud.served_at("fraud", now - timedelta(seconds=61)).traffic is None


def test_a_change_that_is_based_on_an_older_revision_is_told_who_was_there_before(
    fraud: Registry,
) -> None:
    _set(fraud, TENTH, based_on_revision=0)
    _set(fraud, HALF, "bob", based_on_revision=1, reason="all is well")

    with pytest.raises(Conflict, match=r"revision 2 by bob at 2\d{3}-.*all is well.*based on 1"):
        _set(fraud, TENTH, based_on_revision=1)
    with pytest.raises(InvalidArgument, match="there is no 9"):
        _set(fraud, TENTH, based_on_revision=9)

    assert fraud.model("fraud").traffic is not None
    assert len(fraud.traffic_history("fraud")) == 2


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (TrafficPolicy((Variant(1, 90), Variant(9, 10))), InvalidArgument, "version 9.*1 to 3"),
        (TrafficPolicy((Variant(1, 90), Variant(3, 10))), Conflict, "deploy fraud@3 --no-default"),
        (TrafficPolicy((Variant(1, 90), Variant(2, 20))), InvalidArgument, "add up to 110 %"),
        (TrafficPolicy(), InvalidArgument, "needs a split or a rule"),
        (TrafficPolicy(HALF.split, unit="feature:height"), InvalidArgument, "'age', 'amount'"),
        (
            TrafficPolicy(rules=(TrafficRule("feature:height", 2, least=1.0),)),
            InvalidArgument,
            "rule 1: the model takes no feature 'height'",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    fraud: Registry, policy: TrafficPolicy, error: type[AuguriumError], message: str
) -> None:
    revision = fraud.revision()

    with pytest.raises(error, match=message):
        _set(fraud, policy)

    assert fraud.model("fraud").traffic is None
    assert fraud.revision() == revision


def test_features_and_inputs_may_be_looked_at(fraud: Registry) -> None:
    rule = TrafficRule("feature:age", 2, least=18.0)

    assert _set(fraud, TrafficPolicy(HALF.split, unit="feature:amount", rules=(rule,))).revision


def test_a_model_without_a_default_takes_no_policy(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    registry.set_deployed("fraud", 1, True, "ann")

    with pytest.raises(Conflict, match="no default version"):
        _set(registry, TrafficPolicy((Variant(1, 100),)))
    with pytest.raises(NotFound, match="'ghost'"):
        registry.set_traffic("ghost", TrafficChange(policy=None), "ann")


def test_a_version_that_is_deleted_takes_no_part(fraud: Registry) -> None:
    fraud.delete_version("fraud", 3, "ann")

    with pytest.raises(Conflict, match="version 3 of 'fraud' is deleted"):
        _set(fraud, TrafficPolicy((Variant(1, 90), Variant(3, 10))))


def test_versions_of_other_signatures_do_not_share_a_policy(
    fraud: Registry, draft: MakeDraft
) -> None:
    inputs = (TensorSpec("rows", "FP32", (-1, 3), features=("age", "amount", "city")),)
    other = Signature(inputs, (TensorSpec("probability", "FP32", (-1,)),))
    fraud.register("fraud", draft(signature=other), "ann")
    fraud.set_deployed("fraud", 4, True, "ann")

    with pytest.raises(InvalidArgument, match=r"version 4 of 'fraud'.*input 'rows' differs"):
        _set(fraud, TrafficPolicy((Variant(1, 90), Variant(4, 10))))
    _set(fraud, TENTH)
    with pytest.raises(Conflict, match=r"version 4 .* cannot be the default .* version 1"):
        fraud.set_default("fraud", 4, "ann")

    fraud.set_default("fraud", 2, "ann")
    assert fraud.model("fraud").default_version == 2


def test_what_a_policy_names_stays_until_it_does_not(fraud: Registry) -> None:
    _set(fraud, TENTH)

    with pytest.raises(Conflict, match="named by its traffic policy and cannot be undeployed"):
        fraud.set_deployed("fraud", 2, False, "ann")
    with pytest.raises(Conflict, match="its traffic policy names version 2"):
        fraud.delete_version("fraud", 2, "ann")
    with pytest.raises(Conflict, match="augurium traffic clear fraud"):
        fraud.clear_default("fraud", "ann")
    with pytest.raises(Conflict, match="in use"):
        fraud.delete_model("fraud", "ann")

    _set(fraud, None)
    fraud.clear_default("fraud", "ann")
    for version in (1, 2):
        fraud.set_deployed("fraud", version, False, "ann")
    fraud.delete_model("fraud", "ann")
    with pytest.raises(Conflict, match="deleted"):
        _set(fraud, TENTH)


def test_every_part_of_a_policy_is_kept(
    open_registry: Callable[..., Registry], draft: MakeDraft
) -> None:
    registry = open_registry()
    registry.register("fraud", draft(), "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")
    rule = TrafficRule("header:x-country", 1, values=("DE", 7, 1.5, True))
    policy = TrafficPolicy((Variant(1, 100, name="all"),), unit="request", rules=(rule,), salt="s")
    _set(registry, policy)

    found = registry.model("fraud").traffic

    assert found is not None
    assert found.policy == policy
    assert [one.policy for one in registry.traffic_history("fraud")] == [policy]
    assert registry.verify_audit().intact
