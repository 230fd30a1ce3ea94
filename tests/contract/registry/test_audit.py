from collections.abc import Callable

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument
from augurium.registry.records import VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


def test_every_change_raises_the_revision_by_one_and_is_audited(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    changes: list[Callable[[], object]] = [
        lambda: registry.register("fraud", draft(), "ann"),
        lambda: registry.set_deployed("fraud", 1, True, "bob"),
        lambda: registry.set_default("fraud", 1, "bob"),
        lambda: registry.set_alias("fraud", "champion", 1, "bob"),
        lambda: registry.remove_alias("fraud", "champion", "cid"),
    ]
    for count, change in enumerate(changes, start=1):
        clock.advance(1.0)
        change()
        assert registry.revision() == count

    newest_first = registry.audit()
    assert [(entry.actor, entry.action, entry.version) for entry in reversed(newest_first)] == [
        ("ann", "register", 1),
        ("bob", "deploy", 1),
        ("bob", "set_default", 1),
        ("bob", "set_alias", 1),
        ("cid", "remove_alias", 1),
    ]
    assert newest_first[0].at == clock.now()
    assert newest_first[0].details == {"alias": "champion"}
    assert newest_first[1].details == {"alias": "champion", "previous": None}


def test_the_decision_to_run_code_of_a_model_is_audited_with_who_made_it(
    registry: Registry, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(), "ann")
    registry.register("fraud", draft(allowed_code=True), "bob")
    allowed, safe = registry.audit()
    assert (allowed.actor, allowed.details["allowed_code"]) == ("bob", True)
    assert "allowed_code" not in safe.details


def test_setting_what_is_set_already_is_no_change(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")
    registry.set_alias("fraud", "champion", 1, "ann")
    before = registry.revision()

    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")
    registry.set_alias("fraud", "champion", 1, "ann")

    assert registry.revision() == before
    assert len(registry.audit()) == before


def test_a_refused_change_leaves_no_trace(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")

    with pytest.raises(Conflict):
        registry.set_default("fraud", 1, "ann")
    with pytest.raises(InvalidArgument, match="actor"):
        registry.set_deployed("fraud", 1, True, "x" * 257)

    assert registry.revision() == 1
    assert len(registry.audit()) == 1


def test_the_audit_log_can_be_read_for_one_model_and_in_part(
    registry: Registry, draft: MakeDraft
) -> None:
    for model in ["fraud", "churn", "fraud"]:
        registry.register(model, draft(), "ann")

    assert [entry.model for entry in registry.audit(limit=2)] == ["fraud", "churn"]
    assert [entry.version for entry in registry.audit("fraud")] == [2, 1]
    for limit in (0, -1, 1001):
        with pytest.raises(InvalidArgument, match="limit"):
            registry.audit(limit=limit)
