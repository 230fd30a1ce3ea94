"""Multipart uploads that nobody will end, on a real S3 server."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from augurium.core.errors import NotReady
from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts, pending_uploads
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.s3_uploads import PendingUploads
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.s3_server import BUCKET, S3Server, running_s3_server

NOW = timedelta(seconds=-60)
Pending = Callable[..., PendingUploads]


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def pending(s3: S3Server, tmp_path: Path) -> Pending:
    def opened(endpoint: str = s3.endpoint, **environment: str) -> PendingUploads:
        settings = StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=endpoint)
        found = pending_uploads(settings, s3.environment | environment)
        assert found is not None
        return found

    return opened


@pytest.fixture
def abandoned(s3: S3Server, proxy: FaultProxy, tmp_path: Path) -> Callable[[str], None]:
    """Begins an upload in a folder of this test and never ends or cancels it."""

    def begin(folder: str) -> None:
        # every part fails, and so does the request that would cancel the upload
        proxy.fault = lambda exchange: "pass" if exchange.method == "POST" else "403"
        store = S3Store(
            BUCKET, prefix=f"{tmp_path.name}/{folder}", endpoint=proxy.endpoint,
            region="us-east-1", client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )  # fmt: skip
        with pytest.raises(PermissionDeniedError):
            obstore.put(store, "large file", bytes(12_000_000), chunk_size=6_000_000)

    return begin


def test_an_abandoned_upload_is_cancelled_once_it_is_old(
    pending: Pending, abandoned: Callable[[str], None]
) -> None:
    abandoned("sha256/ab")

    assert pending().cancel_older_than(timedelta(hours=1)) == 0
    assert pending().cancel_older_than(NOW) == 1
    assert pending().cancel_older_than(NOW) == 0


def test_uploads_of_others_are_left_alone(
    pending: Pending, abandoned: Callable[[str], None]
) -> None:
    abandoned("elsewhere")

    assert pending().cancel_older_than(NOW) == 0


def test_an_upload_that_fails_cancels_itself(
    pending: Pending, proxy: FaultProxy, s3: S3Server, tmp_path: Path
) -> None:
    settings = StorageSettings(
        artifacts_url=s3.url(tmp_path.name), s3_endpoint=proxy.endpoint, retries=0
    )
    store: ArtifactStore = open_artifacts(settings, tmp_path, tmp_path / "cache", {})
    proxy.fault = lambda exchange: "503" if exchange.method == "PUT" else "pass"

    with pytest.raises(NotReady):
        store.put([bytes(1_000_000)] * 20, 20_000_000)

    assert pending().cancel_older_than(NOW) == 0


def test_a_server_that_never_saw_an_upload_has_none(tmp_path: Path) -> None:
    with running_s3_server(tmp_path / "new") as server:
        settings = StorageSettings(artifacts_url=server.url("x"), s3_endpoint=server.endpoint)
        found = pending_uploads(settings, server.environment)
        assert found is not None

        assert found.cancel_older_than(NOW) == 0


def test_wrong_keys_and_a_silent_store_are_told(pending: Pending, proxy: FaultProxy) -> None:
    with pytest.raises(NotReady, match="answered 403"):
        pending(AWS_SECRET_ACCESS_KEY="wrong").cancel_older_than(NOW)
    proxy.fault = lambda exchange: "reset"
    with pytest.raises(NotReady, match="does not answer"):
        pending(proxy.endpoint).cancel_older_than(NOW)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        ("gs://bucket", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        ("s3://bucket", {}),
    ],
)
def test_other_stores_have_nothing_to_sweep(url: str, environment: dict[str, str]) -> None:
    assert pending_uploads(StorageSettings(artifacts_url=url), environment) is None


def test_an_answer_that_is_no_list_is_told(pending: Pending, proxy: FaultProxy) -> None:
    proxy.fault = lambda exchange: "nonsense"

    with pytest.raises(NotReady, match="other than XML"):
        pending(proxy.endpoint).cancel_older_than(NOW)
