"""What people ask of a registry, on the command line."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from augurium.client import Client
from augurium.core.errors import Conflict, InvalidArgument, NotFound
from augurium.registry.records import Version
from tests.integration.management.conftest import ManagementApi

Augurium = Callable[..., Result]
Register = Callable[..., Version]


def output(result: Result) -> str:
    """What a command printed, once it has ended well."""
    assert result.exit_code == 0, result.stderr
    return result.stdout


def lines_of(result: Result) -> list[list[str]]:
    """The words of every line a command printed."""
    return [line.split() for line in output(result).splitlines()]


def test_search_finds_versions_and_tells_when_there_are_more(
    augurium: Augurium, register: Register
) -> None:
    register("fraud", metrics={"auc": 0.91}, tags={"team": "risk"}, description="Wires\nand more")
    register("fraud", metrics={"auc": 0.95})
    register("churn", description="100% sure")

    found = augurium("search", "fraud", "metric.auc>0.9", "--limit", "1")

    row = ["fraud@1", "onnx", "-", "none", "auc=0.91", "team=risk", "Wires"]
    assert row in lines_of(found)
    assert "1 version; there are more" in found.stderr
    as_json = json.loads(output(augurium("search", "100%", "--json")))
    assert [one["model"] for one in as_json["versions"]] == ["churn"]
    assert as_json["more"] is False
    assert "No version" in augurium("search", "tag:team=none").stderr


@pytest.mark.parametrize("name", ["../x", "a/b", "a\nb", "x" * 200, "", "stats", "con"])
def test_a_name_that_no_model_may_have_is_refused_before_anything_is_sent(
    augurium: Augurium, client: Client, tmp_path: Path, name: str
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"of a good length")

    for command in (["register"], ["import"]):
        result = augurium(*command, str(model), "--name", name)
        assert result.exit_code == 1
        assert "model name" in result.stderr
    assert client.collect_garbage(grace_s=0).files == 0


def test_a_search_that_cannot_be_read_is_refused(augurium: Augurium) -> None:
    result = augurium("search", "colour:red")

    assert result.exit_code == 1
    assert "'colour:' is nothing to search by" in result.stderr


def test_tags_are_set_removed_and_shown(augurium: Augurium, register: Register) -> None:
    register("fraud", tags={"team": "risk"})

    assert lines_of(augurium("tag", "fraud@1", "stage=test", "--remove", "team")) == [
        ["stage", "test"]
    ]
    assert json.loads(output(augurium("tag", "fraud", "owner=ann", "--json"))) == {
        "tags": {"owner": "ann"}
    }
    assert augurium("tag", "fraud@champion").exit_code == 2
    assert augurium("tag", "fraud", "no-value").exit_code == 2


def test_a_card_is_set_and_shown(augurium: Augurium, register: Register, tmp_path: Path) -> None:
    register("fraud")
    file = tmp_path / "card.md"
    file.write_text("# Fraud\nFinds \x1b[31mfraud", "utf-8")

    assert "no card yet" in augurium("card", "fraud").stderr
    assert augurium("card", "fraud", "--set", str(file)).exit_code == 0
    assert output(augurium("card", "fraud")) == "# Fraud\nFinds ?[31mfraud\n"
    assert augurium("card", "fraud@1", "--set", "-", input="# One").exit_code == 0
    assert json.loads(output(augurium("card", "fraud@1", "--json"))) == {"card": "# One"}
    missing = augurium("card", "fraud", "--set", str(tmp_path / "none"))
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (1, True)


def test_a_model_that_requires_approval_deploys_approved_versions_only(
    augurium: Augurium, register: Register, management: ManagementApi
) -> None:
    register("fraud")
    registry = management.services.registry

    assert output(augurium("approval", "require", "fraud")) == "fraud requires approval\n"
    with pytest.raises(Conflict, match="requires approval"):
        registry.set_deployed("fraud", 1, True, "ann")
    assert "waits" in output(augurium("approval", "request", "fraud@1", "--reason", "better"))
    assert "rejected" in output(augurium("approval", "reject", "fraud@1", "--reason", "worse"))
    assert "no approval" in output(augurium("approval", "withdraw", "fraud@1"))
    approved = json.loads(output(augurium("approval", "approve", "fraud@1", "--json")))
    assert approved["approval"] == "approved"
    registry.set_deployed("fraud", 1, True, "ann")
    assert "does not require" in output(augurium("approval", "waive", "fraud"))

    actions = [row[5] for row in lines_of(augurium("audit", "fraud")) if row and row[0].isdigit()]
    assert actions[:4] == ["edit", "deploy", "approve", "withdraw_approval"]


def test_history_tells_what_served_at_a_time_and_who_decided_it(
    augurium: Augurium, register: Register, management: ManagementApi
) -> None:
    registry = management.services.registry
    times = [datetime.now(UTC).isoformat()]
    for version in (1, 2):
        register("fraud", description=str(version))
        registry.set_deployed("fraud", version, True, f"deployer{version}")
        registry.set_default("fraud", version, f"owner{version}")
        times.append(datetime.now(UTC).isoformat())
    registry.set_alias("fraud", "champion", 1, "ann")

    now = [(*row[:2], *row[-1:]) for row in lines_of(augurium("history", "fraud"))]
    assert ("default", "2", "owner2") in now
    assert ("@champion", "1", "ann") in now
    assert "default is 2, was 1" in output(augurium("history", "fraud"))
    then = json.loads(output(augurium("history", "fraud", "--at", times[1], "--json")))
    assert then["served"]["default"]["version"] == 1
    assert then["served"]["default"]["actor"] == "owner1"
    assert [one["version"] for one in then["served"]["deployed"]] == [1]
    assert [change["action"] for change in then["changes"]] == ["set_default", "deploy"]
    early = augurium("history", "fraud", "--at", times[0])
    assert "there was no model 'fraud' yet" in early.stderr
    assert augurium("history", "fraud", "--at", "yesterday").exit_code == 2
    assert augurium("history", "ghost").exit_code == 1


def test_what_is_deleted_leaves_the_lists_until_it_is_restored(
    augurium: Augurium, register: Register, client: Client
) -> None:
    for _ in range(2):
        register("fraud")

    assert output(augurium("delete", "fraud@1")) == "fraud@1 is deleted\n"
    assert [version.version for version in client.versions("fraud")] == [2]
    assert ["1", "onnx", "1", "onnx", "deleted"] in [
        row[:5] for row in lines_of(augurium("versions", "fraud", "--deleted"))
    ]
    assert output(augurium("restore", "fraud@1")) == "fraud@1 is restored\n"
    assert json.loads(output(augurium("delete", "fraud", "--json"))) == {
        "name": "fraud",
        "state": "deleted",
    }
    assert "no models yet" in augurium("models").stderr
    assert "deleted" in output(augurium("models", "--deleted"))
    assert augurium("restore", "fraud").exit_code == 0
    assert augurium("delete", "fraud@champion").exit_code == 2
    assert augurium("delete", "ghost").exit_code == 1


def test_what_is_in_use_is_not_deleted(
    augurium: Augurium, register: Register, management: ManagementApi
) -> None:
    register("fraud")
    management.services.registry.set_deployed("fraud", 1, True, "ann")

    for name in ("fraud", "fraud@1"):
        result = augurium("delete", name)
        assert result.exit_code == 1
        assert "is in use and cannot be deleted" in result.stderr


def test_gc_shows_what_it_frees(
    augurium: Augurium, register: Register, client: Client, tmp_path: Path
) -> None:
    kept = register("fraud")
    loose = tmp_path / "loose.onnx"
    loose.write_bytes(b"x" * 2048)
    client.upload(loose)

    assert "none" in output(augurium("gc"))
    dry = lines_of(augurium("gc", "--dry-run", "--grace", "0s"))
    assert ["files", "that", "would", "be", "removed", "1"] in dry
    assert ["bytes", "to", "free", "2.0", "KiB"] in dry
    wet = json.loads(output(augurium("gc", "--grace", "0s", "--json")))
    assert (wet["files"], wet["bytes_freed"]) == (1, 2048)
    assert wet["digests"] == [hashlib.sha256(b"x" * 2048).hexdigest()]
    assert client.version("fraud", 1).source.digest == kept.source.digest
    for grace in ("-1h", "soon", "1y", "h", ""):
        assert augurium("gc", "--grace", grace).exit_code == 2


def test_the_audit_log_is_listed_and_verified(
    augurium: Augurium, register: Register, client: Client
) -> None:
    for _ in range(3):
        register("fraud")

    rows = lines_of(augurium("audit", "--limit", "2"))
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["3", "2"]
    older = json.loads(output(augurium("audit", "fraud", "--before", "2", "--json")))
    assert [entry["revision"] for entry in older["entries"]] == [1]
    head = client.audit(limit=1)[0].hash
    assert output(augurium("audit", "--verify")) == f"3 entries, intact; the last has hash {head}\n"
    assert json.loads(output(augurium("audit", "--verify", "--json")))["faults"] == []


def test_the_default_is_taken_away(client: Client, register: Register, management: Any) -> None:
    register("fraud")
    management.services.registry.set_deployed("fraud", 1, True, "ann")
    management.services.registry.set_default("fraud", 1, "ann")

    assert client.clear_default("fraud").default_version is None
    assert client.audit(limit=1)[0].action == "clear_default"


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**9])
def test_a_page_has_between_one_and_a_thousand_versions(client: Client, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        client.search(limit=limit)


def test_pages_are_passed_through(client: Client, register: Register) -> None:
    for number in range(3):
        register("fraud", description=str(number))

    first = client.search("fraud", limit=2)
    rest = client.search("fraud", limit=2, cursor=first.cursor)

    assert [one.version for one in (*first.versions, *rest.versions)] == [1, 2, 3]
    with pytest.raises(InvalidArgument, match="another search"):
        client.search("churn", cursor=first.cursor)
    with pytest.raises(InvalidArgument, match="cannot be read"):
        client.search(cursor="x")


def test_what_does_not_exist_is_not_found(client: Client) -> None:
    asks: list[Callable[[], object]] = [
        lambda: client.card("ghost"),
        lambda: client.set_card("ghost", "x", 1),
        lambda: client.edit_model("ghost", "text"),
        lambda: client.edit_version("ghost", 1, {}),
        lambda: client.request_approval("ghost", 1),
        lambda: client.set_approval("ghost", 1, "approved"),
        lambda: client.require_approval("ghost"),
        lambda: client.clear_default("ghost"),
        lambda: client.delete("ghost", 1),
        lambda: client.restore("ghost"),
        lambda: client.history("ghost"),
    ]
    for ask in asks:
        with pytest.raises(NotFound):
            ask()
