from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.records import VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


@pytest.fixture
def fraud(registry: Registry, draft: MakeDraft) -> Registry:
    """A registry with three versions of one model."""
    for _ in range(3):
        registry.register("fraud", draft(), "ann")
    return registry


def test_a_deleted_version_leaves_the_lists_and_can_still_be_looked_at(
    fraud: Registry, clock: ManualClock
) -> None:
    fraud.delete_version("fraud", 2, "ann")

    assert [version.version for version in fraud.versions("fraud")] == [1, 3]
    assert [version.version for version in fraud.versions("fraud", deleted=True)] == [1, 2, 3]
    assert fraud.version("fraud", 2).deleted_at == clock.now()


def test_a_restored_version_is_as_it_was(fraud: Registry) -> None:
    before = fraud.version("fraud", 2)

    fraud.delete_version("fraud", 2, "ann")
    fraud.restore_version("fraud", 2, "bob")

    assert fraud.version("fraud", 2) == before
    assert [entry.action for entry in fraud.audit(limit=2)] == ["restore", "delete"]


def test_deleting_twice_and_restoring_twice_is_one_change_each(fraud: Registry) -> None:
    for _ in range(2):
        fraud.delete_version("fraud", 2, "ann")
    for _ in range(2):
        fraud.restore_version("fraud", 2, "ann")
    for _ in range(2):
        fraud.delete_model("fraud", "ann")
    for _ in range(2):
        fraud.restore_model("fraud", "ann")

    assert fraud.revision() == 3 + 4


@pytest.mark.parametrize("use", ["deployed", "default", "alias"])
def test_what_is_in_use_cannot_be_deleted(fraud: Registry, use: str) -> None:
    if use == "alias":
        fraud.set_alias("fraud", "champion", 2, "ann")
    else:
        fraud.set_deployed("fraud", 2, True, "ann")
    if use == "default":
        fraud.set_default("fraud", 2, "ann")

    with pytest.raises(Conflict, match=r"version 2 of 'fraud' is in use .* version 2"):
        fraud.delete_version("fraud", 2, "ann")
    with pytest.raises(Conflict, match="model 'fraud' is in use"):
        fraud.delete_model("fraud", "ann")
    fraud.delete_version("fraud", 1, "ann")

    assert fraud.version("fraud", 2).deleted_at is None


def test_a_model_is_free_to_go_once_nothing_of_it_is_in_use(fraud: Registry) -> None:
    fraud.set_deployed("fraud", 2, True, "ann")
    fraud.set_default("fraud", 2, "ann")
    fraud.clear_default("fraud", "ann")
    fraud.set_deployed("fraud", 2, False, "ann")

    fraud.delete_model("fraud", "ann")

    assert list(fraud.models()) == []
    assert [model.name for model in fraud.models(deleted=True)] == ["fraud"]


def test_what_is_deleted_cannot_be_changed_or_used(fraud: Registry) -> None:
    fraud.delete_version("fraud", 2, "ann")

    for change in (
        lambda: fraud.set_deployed("fraud", 2, True, "ann"),
        lambda: fraud.set_alias("fraud", "champion", 2, "ann"),
        lambda: fraud.edit_tags("fraud", 2, {"a": "b"}, "ann"),
        lambda: fraud.set_card("fraud", 2, "x", "ann"),
        lambda: fraud.set_approval("fraud", 2, "approved", "ann"),
    ):
        with pytest.raises(Conflict, match="is deleted; restore it first"):
            change()


def test_nothing_can_be_registered_for_a_deleted_model(fraud: Registry, draft: MakeDraft) -> None:
    fraud.delete_model("fraud", "ann")

    with pytest.raises(Conflict, match="restore it first"):
        fraud.register("fraud", draft(), "ann")
    with pytest.raises(Conflict, match="by case only"):
        fraud.register("Fraud", draft(), "ann")
    with pytest.raises(Conflict, match="restore it first"):
        fraud.restore_version("fraud", 1, "ann")
    fraud.restore_model("fraud", "ann")

    assert fraud.register("fraud", draft(), "ann").version == 4


def test_a_restored_model_does_not_bring_back_versions_deleted_on_their_own(
    fraud: Registry,
) -> None:
    fraud.delete_version("fraud", 1, "ann")
    fraud.delete_model("fraud", "ann")

    fraud.restore_model("fraud", "ann")

    assert [version.version for version in fraud.versions("fraud")] == [2, 3]


def test_what_was_deleted_long_ago_is_purged_and_its_number_is_not_given_again(
    fraud: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    fraud.delete_version("fraud", 2, "ann")
    clock.advance(60)
    fraud.delete_version("fraud", 3, "ann")
    moment = clock.now()

    assert fraud.deleted_before(moment) == [("fraud", 2)]
    assert fraud.purge(moment, "bob") == [("fraud", 2)]
    assert fraud.purge(moment, "bob") == []

    with pytest.raises(NotFound, match="no version 2"):
        fraud.version("fraud", 2)
    assert [version.version for version in fraud.versions("fraud", deleted=True)] == [1, 3]
    assert fraud.register("fraud", draft(), "ann").version == 4
    assert [(entry.actor, entry.version) for entry in fraud.audit(actions={"purge"})] == [
        ("bob", 2)
    ]


def test_a_purged_model_is_gone_but_its_name_and_history_stay(
    fraud: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    fraud.delete_model("fraud", "ann")
    clock.advance(1)

    purged = fraud.purge(clock.now(), "bob")

    assert purged == [("fraud", 1), ("fraud", 2), ("fraud", 3)]
    assert list(fraud.models(deleted=True)) == []
    assert fraud.search("deleted:true").versions == ()
    with pytest.raises(NotFound, match="does not exist"):
        fraud.model("fraud")
    for name in ("fraud", "FRAUD"):
        with pytest.raises(Conflict):
            fraud.register(name, draft(), "ann")
    assert len(fraud.audit("fraud")) == 3 + 1 + 4
    assert fraud.served_at("fraud", clock.now()).state == "purged"


def test_a_purged_registration_gives_its_idempotency_key_back(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(idempotency_key="k"), "ann")
    registry.delete_version("fraud", 1, "ann")
    clock.advance(1)
    registry.purge(clock.now(), "ann")

    assert registry.register("fraud", draft(idempotency_key="k"), "ann").version == 2


def test_a_purge_needs_a_time_with_a_zone(registry: Registry) -> None:
    with pytest.raises(InvalidArgument, match="time zone"):
        registry.purge(datetime(2026, 1, 1), "ann")
    with pytest.raises(InvalidArgument, match="time zone"):
        registry.deleted_before(datetime(2026, 1, 1))


def test_what_does_not_exist_cannot_be_deleted(fraud: Registry) -> None:
    changes: list[Callable[[], object]] = [
        lambda: fraud.delete_version("fraud", 4, "ann"),
        lambda: fraud.delete_version("ghost", 1, "ann"),
        lambda: fraud.restore_version("fraud", 0, "ann"),
        lambda: fraud.delete_model("ghost", "ann"),
        lambda: fraud.restore_model("ghost", "ann"),
        lambda: fraud.clear_default("ghost", "ann"),
    ]
    for change in changes:
        with pytest.raises(NotFound):
            change()


def test_files_of_deleted_versions_are_needed_until_they_are_purged(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(), "ann")
    registry.delete_version("fraud", 1, "ann")
    clock.advance(1)

    assert set(registry.referenced()) == {"a" * 64, "b" * 64}
    assert set(registry.referenced(clock.now())) == set()
    assert set(registry.referenced(clock.now() - timedelta(hours=1))) == {"a" * 64, "b" * 64}
    registry.purge(clock.now(), "ann")
    assert set(registry.referenced()) == set()
