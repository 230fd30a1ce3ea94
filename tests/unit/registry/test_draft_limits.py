from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.draft_limits import check_actor, check_draft
from augurium.registry.records import Artifact, VersionDraft

KIB = 1024


def numbered(count: int, value: Any) -> dict[str, Any]:
    return {f"key-{index}": value for index in range(count)}


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(depth):
        tree = {"inner": tree}
    return tree


def wide_signature(name_length: int) -> Signature:
    return Signature(inputs=(TensorSpec("x" * name_length, "FP32", (-1,)),), outputs=())


JUST_ALLOWED: list[dict[str, Any]] = [
    {"tags": numbered(64, "x")},
    {"tags": {"a" * 128: "é" * 512}},
    {"tags": {"formula": "=1+1", "script": "<script>"}},
    {"metrics": numbered(256, 0.5)},
    {"metrics": {"f1 (macro) @ 10 %": -1e308}},
    {"options": numbered(64, "on")},
    {"description": "x" * 64 * KIB},
    {"description": ""},
    {"framework_version": "x" * 128},
    {"source_name": "x" * 255},
    {"report": {"text": "x" * (KIB * KIB - 11)}},
    {"signature": wide_signature(4 * KIB * KIB - 200)},
    {"source": Artifact("0" * 64, 0)},
    {"trained_at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"idempotency_key": "k" * 256},
]

NOT_ALLOWED: list[tuple[dict[str, Any], str]] = [
    ({"tags": numbered(65, "x")}, "65 tags.*at most 64"),
    ({"tags": {"a" * 129: "x"}}, "tag 'a+' is not allowed"),
    ({"tags": {"a": "é" * 513}}, "tag 'a' has 1026 bytes; at most 1024"),
    ({"tags": {"a": "x\0"}}, "NUL"),
    ({"metrics": numbered(257, 0.5)}, "257 metrics.*at most 256"),
    ({"metrics": {"loss": float("nan")}}, "metric 'loss' is nan"),
    ({"metrics": {"loss": float("inf")}}, "metric 'loss' is inf"),
    ({"metrics": {"": 1.0}}, "metric name is empty"),
    ({"metrics": {"x" * 129: 1.0}}, "metric name has 129 bytes"),
    ({"options": numbered(65, "on")}, "65 options"),
    ({"options": {"a": "x" * 1025}}, "option 'a'"),
    ({"description": "x" * (64 * KIB + 1)}, "description has 65537 bytes"),
    ({"description": "\ud800"}, "description is not valid Unicode"),
    ({"framework": ""}, "framework is empty"),
    ({"framework_version": "x" * 129}, "framework_version"),
    ({"runtime": ""}, "runtime is empty"),
    ({"source_name": "x" * 256}, "source_name"),
    ({"report": {"text": "x" * (KIB * KIB - 10)}}, "report has 1048577 bytes"),
    ({"report": nested(100_000)}, "report cannot be written as JSON"),
    ({"report": {"what": object()}}, "report cannot be written as JSON"),
    ({"report": {"text": "\ud800"}}, "report cannot be written as JSON"),
    ({"signature": wide_signature(4 * KIB * KIB)}, "signature has"),
    ({"source": Artifact("a" * 63, 1)}, "source is not a stored artifact"),
    ({"servable": Artifact("A" * 64, 1)}, "servable is not a stored artifact"),
    ({"servable": Artifact("a" * 64, -1)}, "servable is not a stored artifact"),
    ({"trained_at": datetime(2026, 1, 1)}, "trained_at.*no time zone"),
    ({"idempotency_key": ""}, "idempotency key is empty"),
    ({"idempotency_key": "k" * 257}, "idempotency key"),
    ({"idempotency_key": "a\nb"}, "idempotency key"),
]


@pytest.mark.parametrize("changes", JUST_ALLOWED, ids=lambda changes: next(iter(changes)))
def test_a_draft_just_below_a_limit_is_accepted(
    draft: VersionDraft, changes: dict[str, Any]
) -> None:
    check_draft(msgspec.structs.replace(draft, **changes))


@pytest.mark.parametrize(
    ("changes", "message"), NOT_ALLOWED, ids=[message for _, message in NOT_ALLOWED]
)
def test_a_draft_just_above_a_limit_is_refused_with_the_limit(
    draft: VersionDraft, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check_draft(msgspec.structs.replace(draft, **changes))


def test_an_actor_has_at_most_256_bytes() -> None:
    check_actor("x" * 256)

    with pytest.raises(InvalidArgument, match="actor has 257 bytes"):
        check_actor("x" * 257)
