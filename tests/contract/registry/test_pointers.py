from collections.abc import Callable

import pytest

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.records import VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


def test_deployed_versions_are_listed_by_model_and_number(
    registry: Registry, draft: MakeDraft
) -> None:
    for model in ["fraud", "churn", "fraud", "fraud"]:
        registry.register(model, draft(), "ann")
    for model, version in [("fraud", 3), ("fraud", 1), ("churn", 1)]:
        registry.set_deployed(model, version, True, "ann")

    deployed = registry.deployed()

    assert [(one.model, one.version) for one in deployed] == [
        ("churn", 1),
        ("fraud", 1),
        ("fraud", 3),
    ]
    assert all(one.deployed for one in deployed)
    assert registry.model("fraud").deployed_versions == (1, 3)
    assert registry.version("fraud", 2).deployed is False


def test_an_undeployed_version_leaves_the_list(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    registry.set_deployed("fraud", 1, True, "ann")

    registry.set_deployed("fraud", 1, False, "ann")

    assert list(registry.deployed()) == []
    assert registry.model("fraud").deployed_versions == ()


def test_the_default_must_be_deployed_and_stays_so(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    assert registry.model("fraud").default_version is None

    with pytest.raises(Conflict, match="deploy it first"):
        registry.set_default("fraud", 1, "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_default("fraud", 1, "ann")

    assert registry.model("fraud").default_version == 1
    with pytest.raises(Conflict, match="is the default"):
        registry.set_deployed("fraud", 1, False, "ann")
    assert registry.model("fraud").deployed_versions == (1,)


def test_the_default_moves_back_to_an_older_version(registry: Registry, draft: MakeDraft) -> None:
    for version in (1, 2):
        registry.register("fraud", draft(), "ann")
        registry.set_deployed("fraud", version, True, "ann")
        registry.set_default("fraud", version, "ann")

    registry.set_default("fraud", 1, "ann")
    registry.set_deployed("fraud", 2, False, "ann")

    assert registry.model("fraud").default_version == 1


def test_an_alias_is_created_moved_and_removed(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    registry.register("fraud", draft(), "ann")

    registry.set_alias("fraud", "champion", 1, "ann")
    registry.set_alias("fraud", "champion", 2, "ann")
    registry.set_alias("fraud", "archive", 1, "ann")
    assert registry.model("fraud").aliases == {"archive": 1, "champion": 2}

    registry.remove_alias("fraud", "champion", "ann")
    assert registry.model("fraud").aliases == {"archive": 1}
    with pytest.raises(NotFound, match="no alias 'champion'"):
        registry.remove_alias("fraud", "champion", "ann")


@pytest.mark.parametrize("alias", ["", "1", "a/b", "../x", "-rf", "x" * 129, "a\0", "\ud800"])
def test_a_bad_alias_is_refused(registry: Registry, draft: MakeDraft, alias: str) -> None:
    registry.register("fraud", draft(), "ann")

    with pytest.raises(InvalidArgument, match="alias"):
        registry.set_alias("fraud", alias, 1, "ann")
    with pytest.raises(NotFound):
        registry.remove_alias("fraud", alias, "ann")


def test_the_target_of_an_alias_cannot_be_undeployed(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")
    registry.set_deployed("fraud", 1, True, "ann")
    registry.set_alias("fraud", "champion", 1, "ann")

    with pytest.raises(Conflict, match="alias 'champion'"):
        registry.set_deployed("fraud", 1, False, "ann")
    registry.remove_alias("fraud", "champion", "ann")
    registry.set_deployed("fraud", 1, False, "ann")

    assert registry.model("fraud").deployed_versions == ()
