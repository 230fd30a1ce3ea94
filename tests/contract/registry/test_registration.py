from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict, InvalidArgument, NotFound, NotReady
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.registry import Registry

MakeDraft = Callable[..., VersionDraft]

BAD_NAMES = [
    "", " ", "\t", ".", "..", "../x", "a/..", "/etc/passwd", "a/", " ..", "a\0b", "a\nb", "a\n",
    "a%2fb", "con", "NUL.onnx", "x" * 300, "x" * 129, "🦊", "\uff4dodel", "a\u202eb", "-rf",
    "--help", "$(id)", "'; drop table", "{{7*7}}", "${jndi:x}", "a@b", "stats", "\ud800",
]  # fmt: skip


def test_a_new_registry_is_empty(registry: Registry) -> None:
    assert registry.revision() == 0
    assert list(registry.models()) == []
    assert list(registry.deployed()) == []
    assert list(registry.audit()) == []


def test_registering_numbers_the_versions_of_each_model_from_one(
    registry: Registry, draft: MakeDraft
) -> None:
    numbers = [
        registry.register(model, draft(), "ann").version for model in ["fraud", "churn", "fraud"]
    ]

    assert numbers == [1, 1, 2]
    assert [version.version for version in registry.versions("fraud")] == [1, 2]
    assert [(model.name, model.latest_version) for model in registry.models()] == [
        ("churn", 1),
        ("fraud", 2),
    ]


def test_a_version_keeps_everything_it_was_registered_with(
    registry: Registry, clock: ManualClock, draft: MakeDraft
) -> None:
    everything = {
        "options": {"optimization": "basic"},
        "report": {"parity": {"rows": 64, "worst": 1.5e-7}, "notes": ["ok", None]},
        "metrics": {"accuracy": 0.93, "rows": 12},
        "tags": {"team": "<script>", "formula": "=1+1"},
        "description": "Ünïcode, 🦊 and\nlines",
        "trained_at": datetime(2026, 1, 2, 3, 4, 5, 678, timezone(timedelta(hours=2))),
        "idempotency_key": "upload-1",
    }
    wanted = draft(**everything)

    returned = registry.register("fraud", wanted, "ann")

    for version in (returned, registry.version("fraud", 1), registry.versions("fraud")[0]):
        kept = {name: getattr(version, name) for name in VersionDraft.__struct_fields__}
        assert VersionDraft(**kept) == wanted
        assert (version.model, version.version) == ("fraud", 1)
        assert version.created_at == clock.now()
        assert version.deployed is False


def test_what_a_caller_does_to_an_answer_does_not_change_the_registry(
    registry: Registry, draft: MakeDraft
) -> None:
    tags = {"team": "risk"}
    registry.register("fraud", draft(tags=tags), "ann")

    tags["team"] = "changed"
    registry.version("fraud", 1).tags["team"] = "changed"
    registry.model("fraud").aliases["champion"] = 1

    assert registry.version("fraud", 1).tags == {"team": "risk"}
    assert registry.model("fraud").aliases == {}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_outside_the_rule_is_refused(
    registry: Registry, draft: MakeDraft, name: str
) -> None:
    with pytest.raises(InvalidArgument, match="name"):
        registry.register(name, draft(), "ann")
    with pytest.raises(NotFound):
        registry.model(name)

    assert registry.revision() == 0


def test_the_longest_name_is_accepted(registry: Registry, draft: MakeDraft) -> None:
    name = "A-z_0." + "x" * 122

    assert registry.register(name, draft(), "ann").model == name
    assert registry.model(name).name == name


def test_a_name_that_differs_by_case_only_is_a_conflict(
    registry: Registry, draft: MakeDraft
) -> None:
    registry.register("Fraud", draft(), "ann")

    with pytest.raises(Conflict, match="'Fraud' by case only"):
        registry.register("fRAUD", draft(), "ann")
    with pytest.raises(NotFound):
        registry.model("fraud")

    assert [model.name for model in registry.models()] == ["Fraud"]


@pytest.mark.parametrize("number", [0, -1, 2, 2**31, 2**63, 10**21])
def test_a_number_that_was_never_given_is_not_found(
    registry: Registry, draft: MakeDraft, number: int
) -> None:
    registry.register("fraud", draft(), "ann")

    for ask in (
        lambda: registry.version("fraud", number),
        lambda: registry.set_deployed("fraud", number, True, "ann"),
        lambda: registry.set_default("fraud", number, "ann"),
        lambda: registry.set_alias("fraud", "champion", number, "ann"),
    ):
        with pytest.raises(NotFound, match="has no version"):
            ask()


def test_an_unknown_model_is_not_found(registry: Registry) -> None:
    for ask in (
        lambda: registry.model("ghost"),
        lambda: registry.versions("ghost"),
        lambda: registry.version("ghost", 1),
        lambda: registry.set_deployed("ghost", 1, True, "ann"),
        lambda: registry.set_default("ghost", 1, "ann"),
        lambda: registry.set_alias("ghost", "champion", 1, "ann"),
        lambda: registry.remove_alias("ghost", "champion", "ann"),
        lambda: registry.audit("ghost"),
    ):
        with pytest.raises(NotFound, match="'ghost' does not exist"):
            ask()


def test_the_same_idempotency_key_returns_the_first_version(
    registry: Registry, draft: MakeDraft
) -> None:
    first = registry.register("fraud", draft(idempotency_key="k"), "ann")
    again = registry.register("fraud", draft(idempotency_key="k", report={"took_s": 2.5}), "ann")

    assert again == first
    assert len(registry.versions("fraud")) == 1
    assert registry.revision() == 1


def test_an_idempotency_key_is_not_reused_for_another_model_or_file(
    registry: Registry, draft: MakeDraft
) -> None:
    registry.register("fraud", draft(idempotency_key="k"), "ann")
    other_file = draft(idempotency_key="k", source=Artifact("c" * 64, 1))

    with pytest.raises(Conflict, match="idempotency key 'k'"):
        registry.register("churn", draft(idempotency_key="k"), "ann")
    with pytest.raises(Conflict, match="idempotency key 'k'"):
        registry.register("fraud", other_file, "ann")


def test_registrations_without_a_key_are_all_versions(registry: Registry, draft: MakeDraft) -> None:
    assert [registry.register("fraud", draft(), "ann").version for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"loss": float("nan")}},
        {"tags": {"a b": "x"}},
        {"description": "x" * (64 * 1024 + 1)},
        {"trained_at": datetime(2026, 1, 1)},
        {"report": {"when": object()}},
        {"idempotency_key": "k" * 257},
    ],
)
def test_a_draft_above_the_limits_is_refused_and_leaves_nothing(
    registry: Registry, draft: MakeDraft, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        registry.register("fraud", draft(**changes), "ann")

    assert registry.revision() == 0
    assert list(registry.models()) == []


def test_twenty_threads_registering_at_once_get_each_number_once(
    registry: Registry, draft: MakeDraft
) -> None:
    with ThreadPoolExecutor(20) as threads:
        registered = list(
            threads.map(lambda _: registry.register("fraud", draft(), "ann"), range(100))
        )

    numbers = [version.version for version in registered]
    assert sorted(numbers) == list(range(1, 101))
    assert [version.version for version in registry.versions("fraud")] == list(range(1, 101))
    assert registry.revision() == 100


def test_twenty_threads_with_one_idempotency_key_make_one_version(
    registry: Registry, draft: MakeDraft
) -> None:
    with ThreadPoolExecutor(20) as threads:
        registered = list(
            threads.map(
                lambda _: registry.register("fraud", draft(idempotency_key="k"), "ann"), range(20)
            )
        )

    assert {version.version for version in registered} == {1}
    assert registry.revision() == 1


def test_a_closed_registry_is_not_ready(registry: Registry, draft: MakeDraft) -> None:
    registry.register("fraud", draft(), "ann")

    registry.close()

    for ask in (registry.revision, registry.models, lambda: registry.model("fraud")):
        with pytest.raises(NotReady, match="closed"):
            ask()
    with pytest.raises(NotReady, match="closed"):
        registry.register("fraud", draft(), "ann")
