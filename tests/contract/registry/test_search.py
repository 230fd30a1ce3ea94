import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import ModelEdit, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]


def found(registry: Registry, query: str) -> list[str]:
    """`name@number` of all that a query finds, over small pages."""
    names, cursor = [], None
    while True:
        page = registry.search(query, 2, cursor)
        names += [f"{one.model}@{one.version}" for one in page.versions]
        cursor = page.cursor
        if cursor is None:
            return names


@pytest.fixture
def shop(registry: Registry, draft: MakeDraft) -> Registry:
    """Three models of a shop, with tags, metrics, an alias, a default and approvals."""
    described: dict[str, dict[str, Any]] = {
        "fraud": {"metrics": {"accuracy": 0.85}, "description": "Wire transfers, 100% logged"},
        "fraud ": {"metrics": {"accuracy": 0.95}, "tags": {"team": "risk", "x": "a b"}},
        "churn": {"framework": "xgboost", "tags": {"team": "crm"}},
    }
    for model, details in described.items():
        registry.register(model.strip(), draft(source_name="m", **details), "ann")
    registry.register("Snake_case", draft(source_name="Model.ONNX"), "ann")
    registry.edit_model("churn", ModelEdit(tags={"owner": "bob"}), "ann")
    registry.set_card("churn", None, "# Churn\nWho leaves, and *why*", "ann")
    registry.set_deployed("fraud", 2, True, "ann")
    registry.set_default("fraud", 2, "ann")
    registry.set_alias("fraud", "champion", 2, "ann")
    registry.set_alias("fraud", "archive", 2, "ann")
    registry.set_approval("fraud", 1, "rejected", "ann", "too old")
    return registry


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Snake_case@1", "churn@1", "fraud@1", "fraud@2"]),
        ("fraud", ["fraud@1", "fraud@2"]),
        ("FRAUD", ["fraud@1", "fraud@2"]),
        ("wire", ["fraud@1"]),
        ('"wire transfers"', ["fraud@1"]),
        ("wire transfers", ["fraud@1"]),
        ("wire missing", []),
        ("leaves", ["churn@1"]),
        ("model.onnx", ["Snake_case@1"]),
        ("bob", ["churn@1"]),
        ("name:a", ["Snake_case@1", "fraud@1", "fraud@2"]),
        ("name:FRAU framework:sklearn", ["fraud@1", "fraud@2"]),
        ("framework:xgboost", ["churn@1"]),
        ("framework:xgb", []),
        ("tag:team", ["churn@1", "fraud@2"]),
        ("tag:team=risk", ["fraud@2"]),
        ('tag:x="a b"', ["fraud@2"]),
        ('"tag:x=a b"', []),
        ("tag:owner=bob", ["churn@1"]),
        ("tag:team=", []),
        ("alias:champion", ["fraud@2"]),
        ("alias:champ", []),
        ("default:true", ["fraud@2"]),
        ("default:false name:fraud", ["fraud@1"]),
        ("deployed:true", ["fraud@2"]),
        ("deployed:false", ["Snake_case@1", "churn@1", "fraud@1"]),
        ("approval:rejected", ["fraud@1"]),
        ("approval:none name:fraud", ["fraud@2"]),
        ("metric.accuracy>0.9", ["fraud@2"]),
        ("metric.accuracy>=0.85", ["fraud@1", "fraud@2"]),
        ("metric.accuracy<0.95", ["fraud@1"]),
        ("metric.accuracy<=0.95 metric.accuracy!=0.85", ["fraud@2"]),
        ("metric.accuracy=0.95", ["fraud@2"]),
        ("metric.loss<1", []),
        ('metric."accuracy">0.9', ["fraud@2"]),
    ],
)
def test_a_search_finds_the_versions_for_which_all_terms_hold(
    shop: Registry, query: str, expected: list[str]
) -> None:
    assert found(shop, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("100%", ["fraud@1"]),
        ("1%0", []),
        ("%", ["fraud@1"]),
        ("_", ["Snake_case@1"]),
        ("snake_", ["Snake_case@1"]),
        ("s_ake", []),
        ("name:_", ["Snake_case@1"]),
        ("*", ["churn@1"]),
        ("'; drop table models", []),
        ('"\\"quoted\\""', []),
    ],
)
def test_nothing_is_a_wildcard(shop: Registry, query: str, expected: list[str]) -> None:
    assert found(shop, query) == expected


def test_a_summary_says_which_pointers_lead_to_a_version(shop: Registry) -> None:
    first, second = shop.search("name:fraud").versions

    assert (first.default, first.aliases, first.approval) == (False, (), "rejected")
    assert (second.default, second.aliases) == (True, ("archive", "champion"))
    assert second.tags == {"team": "risk", "x": "a b"}
    assert second.metrics == {"accuracy": 0.95}


def test_a_summary_shows_the_beginning_of_a_long_description(
    registry: Registry, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(description="é" * 5000), "ann")

    assert registry.search().versions[0].description == "é" * 200


def test_what_is_deleted_is_found_only_when_asked_for(shop: Registry) -> None:
    shop.delete_version("fraud", 1, "ann")
    shop.delete_model("churn", "ann")

    assert found(shop, "") == ["Snake_case@1", "fraud@2"]
    assert found(shop, "deleted:true") == ["churn@1", "fraud@1"]
    assert found(shop, "deleted:false") == ["Snake_case@1", "fraud@2"]
    assert shop.search("deleted:true").versions[0].deleted_at is not None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour:red", "character 1: 'colour:' is nothing to search by"),
        ("fraud colour:red", "character 7"),
        ('fraud "open', "character 7: the quotation begun here does not end"),
        ("name:", "character 6: name: has no value"),
        ("tag:=x", "character 1: the tag has no key"),
        ("approval:maybe", "'maybe' is no state of approval"),
        ("deployed:yes", "'yes' is neither true nor false"),
        ("metric.accuracy", "no comparison of a metric"),
        ("metric.>1", "no comparison of a metric"),
        ("metric.accuracy=>1", "'>1' is not a finite number"),
        ("metric.accuracy>high", "character 17: 'high' is not a finite number"),
        ("metric.accuracy>nan", "not a finite number"),
        ("metric.accuracy>1e999", "not a finite number"),
        ('""', "an empty text matches everything"),
        ("a\0b", "character 2"),
        ("a\ud800", "character 2"),
        ("x" * 1001, "1001 characters"),
        ("a " * 21, "21 terms"),
    ],
)
def test_a_search_that_cannot_be_read_is_refused_with_the_place(
    registry: Registry, query: str, message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message.replace(".", r"\.").replace("?", r"\?")):
        registry.search(query)


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**9])
def test_a_page_has_between_one_and_a_thousand_versions(registry: Registry, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        registry.search(limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "bm90IGpzb24", "é", "=", "A" * 5000, "W10="])
def test_a_cursor_that_is_not_ours_is_refused(registry: Registry, cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="cursor"):
        registry.search(cursor=cursor)


def test_a_cursor_of_another_search_is_refused(shop: Registry) -> None:
    cursor = shop.search("fraud", limit=1).cursor

    with pytest.raises(InvalidArgument, match="another search"):
        shop.search("churn", cursor=cursor)


def test_pages_hold_together_while_versions_are_added(shop: Registry, draft: MakeDraft) -> None:
    first = shop.search(limit=2)
    shop.register("Alpha", draft(), "ann")
    shop.register("fraud", draft(), "ann")

    rest = shop.search(limit=100, cursor=first.cursor)

    seen = [f"{one.model}@{one.version}" for one in (*first.versions, *rest.versions)]
    assert seen == ["Snake_case@1", "churn@1", "fraud@1", "fraud@2", "fraud@3"]
    assert rest.cursor is None


def test_changed_tags_and_cards_are_found_and_old_ones_are_not(shop: Registry) -> None:
    shop.edit_tags("fraud", 2, {"team": "money", "x": None}, "ann")
    shop.set_card("churn", None, "nothing", "ann")
    shop.set_card("fraud", 1, "Ünïcode", "ann")

    assert found(shop, "tag:team=risk") == []
    assert found(shop, "tag:team=money") == ["fraud@2"]
    assert found(shop, "tag:x") == []
    assert found(shop, "leaves") == []
    assert found(shop, "ÜNÏCODE") == ["fraud@1"]


TERMS = st.sampled_from(
    [
        "a", "B", '"a b"', "name:m1", "tag:k", "tag:k=v", "tag:k=w", "framework:sklearn",
        "framework:onnx", "alias:champion", "approval:approved", "deployed:true",
        "deployed:false", "default:true", "deleted:true", "metric.f1>0.5", "metric.f1<=0.25",
    ]
)  # fmt: skip


def test_every_search_finds_what_a_plain_reading_of_it_finds(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    model = MemoryRegistry(clock)
    for one in (registry, model):
        _fill(one, draft)

    @settings(max_examples=60)
    @given(st.lists(TERMS, max_size=4).map(" ".join))
    def agrees(query: str) -> None:
        assert found(registry, query) == found(model, query)
        assert registry.search(query) == model.search(query)

    agrees()


def _fill(registry: Registry, draft: MakeDraft) -> None:
    chance = random.Random(7)
    for number in range(40):
        name = f"m{chance.randrange(4)}"
        version = registry.register(
            name,
            draft(
                framework=chance.choice(["sklearn", "onnx"]),
                tags={"k": chance.choice("vw")} if chance.random() < 0.5 else {},
                metrics={"f1": chance.randrange(5) / 4} if chance.random() < 0.7 else {},
                description=chance.choice(["", "a b", "A", "b"]),
            ),
            "ann",
        ).version
        if number % 3 == 0:
            registry.set_deployed(name, version, True, "ann")
        if number % 6 == 0:
            registry.set_default(name, version, "ann")
            registry.set_alias(name, "champion", version, "ann")
        if number % 3 and number % 7 == 1:
            registry.delete_version(name, version, "ann")
        elif number % 5 == 0:
            registry.set_approval(name, version, "approved", "ann")
    registry.edit_model("m2", ModelEdit(tags={"k": "w"}, description="B a b"), "ann")
