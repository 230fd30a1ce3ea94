import hashlib
from collections.abc import Callable

import pytest

from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.core.serving_policy import CachePolicy, ServingPolicy
from augurium.registry.records import Artifact, Lineage, ModelEdit, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


@pytest.fixture
def fraud(registry: Registry, draft: MakeDraft) -> Registry:
    """A registry with one version of one model."""
    registry.register("fraud", draft(tags={"team": "risk"}, card="# First"), "ann")
    return registry


def test_tags_of_a_version_are_set_changed_and_removed(fraud: Registry) -> None:
    after = fraud.edit_tags("fraud", 1, {"team": None, "stage": "<b>", "formula": "=1"}, "bob")

    assert after.tags == {"formula": "=1", "stage": "<b>"}
    assert fraud.version("fraud", 1) == after
    newest = fraud.audit()[0]
    assert (newest.actor, newest.action, newest.version) == ("bob", "edit", 1)
    assert newest.details == {
        "tags": {"formula": [None, "=1"], "stage": [None, "<b>"], "team": ["risk", None]}
    }


def test_tags_description_and_approval_of_a_model_are_edited(fraud: Registry) -> None:
    edit = ModelEdit(description="finds fraud", tags={"owner": "ann"}, requires_approval=True)

    after = fraud.edit_model("fraud", edit, "bob")

    assert fraud.model("fraud") == after
    assert (after.description, after.tags, after.requires_approval) == (
        "finds fraud",
        {"owner": "ann"},
        True,
    )
    details = fraud.audit()[0].details
    assert details["tags"] == {"owner": [None, "ann"]}
    assert details["requires_approval"] is True
    assert details["description"]["new"] == {
        "sha256": hashlib.sha256(b"finds fraud").hexdigest(),
        "size_bytes": 11,
    }


def test_edits_that_change_nothing_are_no_changes(fraud: Registry) -> None:
    before = fraud.revision()

    fraud.edit_model("fraud", ModelEdit(description="", requires_approval=False), "bob")
    fraud.edit_model("fraud", ModelEdit(tags={"unknown": None}), "bob")
    fraud.edit_tags("fraud", 1, {"team": "risk"}, "bob")
    fraud.set_card("fraud", 1, "# First", "bob")
    fraud.set_card("fraud", None, "", "bob")
    fraud.set_approval("fraud", 1, "none", "bob")

    assert fraud.revision() == before


@pytest.mark.parametrize("version", [None, 1])
def test_a_card_is_kept_and_its_change_is_audited_by_digest(
    fraud: Registry, version: int | None
) -> None:
    old = fraud.card("fraud", version)

    fraud.set_card("fraud", version, "# Ünïcode\n<script>", "bob")

    assert fraud.card("fraud", version) == "# Ünïcode\n<script>"
    newest = fraud.audit()[0]
    assert (newest.action, newest.version) == ("set_card", version)
    assert newest.details["old"]["sha256"] == hashlib.sha256(old.encode()).hexdigest()
    assert newest.details["new"]["size_bytes"] == len("# Ünïcode\n<script>".encode())


@pytest.mark.parametrize(
    "tags",
    [
        {"a b": "x"},
        {"": "x"},
        {"a": "x" * 1025},
        {"a": "\0"},
        {"a": "\ud800"},
        {f"t{number}": "x" for number in range(65)},
        {f"t{number}": "x" for number in range(64)},
    ],
)
def test_tags_above_the_limits_are_refused(fraud: Registry, tags: dict[str, str | None]) -> None:
    with pytest.raises(InvalidArgument, match="tag"):
        fraud.edit_tags("fraud", 1, tags, "bob")
    if len(tags) != 64:
        with pytest.raises(InvalidArgument, match="tag"):
            fraud.edit_model("fraud", ModelEdit(tags=tags), "bob")

    assert fraud.version("fraud", 1).tags == {"team": "risk"}


@pytest.mark.parametrize("card", ["x" * (256 * 1024 + 1), "\0", "\ud800"])
def test_a_card_above_the_limits_is_refused(fraud: Registry, card: str) -> None:
    with pytest.raises(InvalidArgument, match="card"):
        fraud.set_card("fraud", 1, card, "bob")
    with pytest.raises(InvalidArgument, match="card"):
        fraud.set_card("fraud", None, card, "bob")


def test_what_does_not_exist_has_no_card_tags_or_approval(fraud: Registry) -> None:
    for ask in (
        lambda: fraud.card("ghost"),
        lambda: fraud.card("fraud", 2),
        lambda: fraud.set_card("ghost", None, "x", "bob"),
        lambda: fraud.set_card("fraud", 2, "x", "bob"),
        lambda: fraud.edit_tags("fraud", 2, {}, "bob"),
        lambda: fraud.edit_model("ghost", ModelEdit(), "bob"),
        lambda: fraud.set_approval("fraud", 2, "approved", "bob"),
    ):
        with pytest.raises(NotFound):
            ask()


def test_an_approval_is_asked_for_given_and_withdrawn(fraud: Registry) -> None:
    for approval in ("pending", "rejected", "pending", "approved", "none"):
        fraud.set_approval("fraud", 1, approval, "bob", f"because {approval}")
        assert fraud.version("fraud", 1).approval == approval

    entries = list(reversed(fraud.audit(limit=5)))
    assert [entry.action for entry in entries] == [
        "request_approval",
        "reject",
        "request_approval",
        "approve",
        "withdraw_approval",
    ]
    assert entries[3].details == {"previous": "pending", "reason": "because approved"}


def test_an_unknown_approval_or_a_long_reason_is_refused(fraud: Registry) -> None:
    with pytest.raises(InvalidArgument, match="'maybe' is not known"):
        fraud.set_approval("fraud", 1, "maybe", "bob")
    with pytest.raises(InvalidArgument, match="reason"):
        fraud.set_approval("fraud", 1, "approved", "bob", "x" * 4097)


def test_a_model_that_requires_approval_deploys_approved_versions_only(fraud: Registry) -> None:
    fraud.edit_model("fraud", ModelEdit(requires_approval=True), "ann")

    with pytest.raises(Conflict, match="has no approval and the model requires"):
        fraud.set_deployed("fraud", 1, True, "ann")
    for approval in ("pending", "rejected"):
        fraud.set_approval("fraud", 1, approval, "ann")
        with pytest.raises(Conflict, match=f"is {approval} and the model requires"):
            fraud.set_deployed("fraud", 1, True, "ann")
    fraud.set_approval("fraud", 1, "approved", "ann")
    fraud.set_deployed("fraud", 1, True, "ann")
    fraud.set_approval("fraud", 1, "rejected", "ann")
    fraud.set_default("fraud", 1, "ann")

    assert fraud.model("fraud").deployed_versions == (1,)


def test_a_version_keeps_its_files_lineage_examples_and_card(
    registry: Registry, draft: MakeDraft
) -> None:
    details = {
        "weights": Artifact("c" * 64, 2**40),
        "profile": Artifact("d" * 64, 1),
        "preprocessing": Artifact("e" * 64, 0),
        "lineage": Lineage(code_revision="a1b2", dataset_uri="s3://b/t", run_url="https://r/1"),
        "examples": ([1, 2.5, None], {"age": "old"}),
        "card": "# Card",
        "allowed_code": True,
    }
    registered = registry.register("fraud", draft(**details), "ann")

    for version in (registered, registry.version("fraud", 1), registry.versions("fraud")[0]):
        assert {name: getattr(version, name) for name in details} == details
    assert set(registry.referenced()) == {letter * 64 for letter in "abcde"}


@pytest.mark.parametrize(("parent", "ok"), [(0, False), (1, True), (2, False), (-1, False)])
def test_the_parent_of_a_version_is_one_that_was_registered_before(
    fraud: Registry, draft: MakeDraft, parent: int, ok: bool
) -> None:
    child = draft(lineage=Lineage(parent_version=parent))

    if ok:
        assert fraud.register("fraud", child, "ann").lineage.parent_version == 1
    else:
        with pytest.raises(InvalidArgument, match=f"parent version {parent}"):
            fraud.register("fraud", child, "ann")
    with pytest.raises(InvalidArgument, match="this is the first version"):
        fraud.register("other", draft(lineage=Lineage(parent_version=1)), "ann")
    assert [model.name for model in fraud.models()] == ["fraud"]


def test_how_a_model_is_served_is_kept(fraud: Registry) -> None:
    policy = ServingPolicy(cache=CachePolicy(ttl_s=60))

    after = fraud.edit_model("fraud", ModelEdit(serving=policy), "bob")

    assert fraud.model("fraud") == after
    assert fraud.models()[0].serving == policy
    assert fraud.audit()[0].details == {"serving": [{}, {"cache": {"ttl_s": 60.0}}]}
    revision = fraud.revision()
    fraud.edit_model("fraud", ModelEdit(serving=policy), "bob")
    assert fraud.revision() == revision
