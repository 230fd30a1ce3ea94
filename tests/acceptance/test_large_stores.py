"""A node on PostgreSQL and S3: with a store that fails often, and a database that is killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from augurium.client import Client
from augurium.core.errors import AuguriumError, NotReady
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.models import simple_model
from tests.support.node import Node, control_of
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.s3_server import S3Server, s3, s3_server

__all__ = ["s3", "s3_server"]

ROW = {"inputs": [
    {"name": name, "datatype": "INT32", "shape": [1, 16], "data": [list(range(16))]}
    for name in ("INPUT0", "INPUT1")
]}  # fmt: skip
MB = 1024**2


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server(durable=True) as server:
        yield server


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def outgrown(
    tmp_path: Path, s3: S3Server, proxy: FaultProxy, database: PostgresServer
) -> Iterator[Node]:
    file = tmp_path / "augurium.toml"
    file.write_text(
        f'[storage]\ndatabase_url = "{database.url()}"\n'
        f'artifacts_url = "{s3.url(tmp_path.name)}"\ns3_endpoint = "{proxy.endpoint}"\n'
    )
    node = Node(tmp_path / "home", "--engines", "1", "--config", str(file))
    yield node
    node.stop()


def test_a_version_is_registered_and_served_through_a_store_that_fails_every_third_call(
    outgrown: Node, proxy: FaultProxy, s3: S3Server, tmp_path: Path
) -> None:
    proxy.fault = lambda exchange: "pass" if len(proxy.seen) % 3 else "503"

    with outgrown.client() as client:
        stored = client.upload(os.urandom(20 * MB))
        for _ in range(3):
            version = client.register(_model(tmp_path), name="simple")
            client.deploy("simple", version.version)
        found = [one.version for one in client.search("name:simple framework:onnx").versions]

    assert found == [1, 2, 3]
    assert outgrown.ask("/v2/models/simple/infer", ROW).json["model_version"] == "3"
    assert stored.digest in {file.name for file in s3.files(tmp_path.name)}


def test_control_killed_in_the_middle_of_an_upload_leaves_nothing_of_it(
    outgrown: Node, s3: S3Server, tmp_path: Path
) -> None:
    staging = tmp_path / "home/cache/staging"
    control = control_of(outgrown)

    def killed_half_way() -> Iterator[bytes]:
        yield os.urandom(4 * MB)
        while not any(file.stat().st_size for file in staging.iterdir()):
            time.sleep(0.01)
        control.send_signal(signal.SIGKILL)
        control.wait(20)
        yield bytes(MB)

    with pytest.raises(httpx.TransportError):
        httpx.post(f"{outgrown.management}/api/v1/artifacts", content=killed_half_way(), timeout=30)

    with outgrown.client() as client:
        _until_ready(client)
        assert client.models() == ()
        assert client.collect_garbage(grace_s=0, dry_run=True).files == 0
        assert list(staging.iterdir()) == []
        assert s3.files(tmp_path.name) == []
        assert client.register(_model(tmp_path), name="simple").version == 1


def test_a_killed_database_is_told_and_used_again_and_serving_goes_on(
    outgrown: Node, database: PostgresServer, tmp_path: Path
) -> None:
    with outgrown.client() as client:
        client.register(_model(tmp_path), name="simple")
        client.deploy("simple", 1)
        database.kill()
        with pytest.raises(NotReady, match="registry database does not answer"):
            client.edit_model("simple", tags={"while": "down"})
        assert outgrown.ask("/v2/models/simple/infer", ROW).status == 200
        database.start()

        _until_ready(client)
        assert client.edit_model("simple", tags={"again": "up"}).tags == {"again": "up"}
        assert client.verify_audit().faults == ()


def _model(folder: Path) -> Path:
    file = folder / "simple.onnx"
    file.write_bytes(simple_model())
    return file


def _until_ready(client: Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.ready().ready and client.models() is not None:
                return
        except AuguriumError:
            pass
        time.sleep(0.1)
    pytest.fail("the node did not become ready again")
