"""A version leaves a node that keeps files in its home for one that keeps them in S3."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.models import simple_model
from tests.support.node import AUGURIUM, Node, clean_environment
from tests.support.s3_server import S3Server, s3, s3_server

__all__ = ["s3", "s3_server"]

SMALL = ("--engines", "1")
ROWS = {"instances": [[1.5, 2.5], [-3.0, 0.25]]}


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "origin", *SMALL)
    yield node
    node.stop()


@pytest.fixture
def target_config(tmp_path: Path, s3: S3Server) -> Path:
    file = tmp_path / "augurium.toml"
    url = s3.url(tmp_path.name)
    file.write_text(f'[storage]\nartifacts_url = "{url}"\ns3_endpoint = "{s3.endpoint}"\n')
    return file


@pytest.fixture
def target(tmp_path: Path, target_config: Path) -> Iterator[Node]:
    node = Node(tmp_path / "target", *SMALL, "--config", str(target_config))
    yield node
    node.stop()


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that these tests leave as it is."""
    node = Node(tmp_path_factory.mktemp("shared") / "home", *SMALL)
    yield node.management
    node.stop()


def augurium(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"AUGURIUM_URL": node.management}
    return subprocess.run(
        [AUGURIUM, *arguments], capture_output=True, text=True, timeout=120, env=environment
    )


def succeeded(node: Node, *arguments: str) -> str:
    done = augurium(node, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def archive(origin: Node, tmp_path: Path) -> Path:
    """Version 1 of `sums`, exported; the origin serves it."""
    model, card = tmp_path / "sums.onnx", tmp_path / "card.md"
    model.write_bytes(simple_model())
    card.write_text("# Sums\n")
    details = ("--metric", "auc=0.9", "--tag", "team=risk", "--card", str(card))
    lineage = ("--code-revision", "abc123", "--dataset-uri", "s3://data/train.parquet")
    succeeded(origin, "register", str(model), "--name", "sums", "--deploy", *details, *lineage)
    file = tmp_path / "sums.augurium"
    succeeded(origin, "export", "sums@1", str(file))
    return file


def test_a_version_moves_between_nodes_and_answers_the_same(
    origin: Node, target: Node, archive: Path, tmp_path: Path, s3: S3Server, target_config: Path
) -> None:
    refused = augurium(target, "import", str(archive))
    assert refused.returncode == 1
    assert "does not trust" in refused.stderr
    key = succeeded(origin, "trust", "key").strip()
    succeeded(target, "trust", "add", "origin", key)

    moved = json.loads(succeeded(target, "import", str(archive), "--json"))
    again = json.loads(succeeded(target, "import", str(archive), "--json"))
    other = json.loads(succeeded(target, "import", str(archive), "--name", "others", "--json"))

    with origin.client() as client:
        before: Any = json.loads(succeeded(origin, "versions", "sums@1", "--json"))
        assert client.trusted_keys().own.key == key
    assert (moved["model"], moved["version"], again["version"]) == ("sums", 1, 1)
    assert (other["model"], other["version"]) == ("others", 1)
    kept = ("source", "servable", "signature", "metrics", "tags", "lineage", "card", "examples")
    assert {name: moved[name] for name in kept} == {name: before[name] for name in kept}
    assert moved["report"].pop("imported_from")["signed_by"] == "origin"
    assert moved["report"] == before["report"]

    with target.client() as client:
        client.deploy("sums", 1)
    answers = [node.ask("/v1/models/sums:predict", ROWS).json for node in (origin, target)]
    assert answers[0] == answers[1]
    assert s3.files(tmp_path.name)

    # the copies on the node are lost and fetched again
    target.stop()
    shutil.rmtree(tmp_path / "target" / "cache")
    restarted = Node(tmp_path / "target", *SMALL, "--config", str(target_config))
    try:
        assert restarted.ask("/v1/models/sums:predict", ROWS).json == answers[0]
    finally:
        restarted.stop()


def test_an_unknown_signer_may_be_accepted_once_and_the_audit_log_says_so(
    origin: Node, target: Node, archive: Path, tmp_path: Path
) -> None:
    keyfile = tmp_path / "origin.pub"
    keyfile.write_text(succeeded(origin, "trust", "key"))

    said = succeeded(target, "import", str(archive), "--trust", str(keyfile))

    assert "sums@1 is registered" in said
    assert "accepted for this time only" in said
    with target.client() as client:
        actions = {entry.action: entry.details for entry in client.audit()}
        assert actions["accept_signer"]["signer"] == client_fingerprint(origin)
        assert client.trusted_keys().trusted == ()
    assert augurium(target, "import", str(archive)).returncode == 1


def client_fingerprint(node: Node) -> str:
    with node.client() as client:
        return client.trusted_keys().own.fingerprint


def test_what_is_no_archive_is_refused_with_a_word(target: Node, tmp_path: Path) -> None:
    file = tmp_path / "sums.onnx"
    file.write_bytes(simple_model())

    refused = augurium(target, "import", str(file))

    assert refused.returncode == 1
    assert "not a version archive" in refused.stderr
    with target.client() as client:
        assert client.models() == ()


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd", "file://host/x", "../x", "s3://bucket/../x", "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/", "http://0x7f000001/", "http://2130706433/",
        "http://127.1/", "http://localhost.", "gopher://x", "ftp://x", "data:,x", "jar:x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["artifact", "table", "preprocessing"])
def test_a_server_takes_no_addresses_of_files(shared_url: str, field: str, uri: str) -> None:
    body = {"artifact": "0" * 64, "filename": "x.onnx"} | {field: uri}

    answer = httpx.post(f"{shared_url}/api/v1/models/sums/imports", json=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]
