"""Which store the settings name, and what is refused before anyone is asked."""

from pathlib import Path

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.remote_artifacts import RemoteArtifacts

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def opened(tmp_path: Path, **storage: object) -> ObstoreArtifacts | RemoteArtifacts:
    settings = StorageSettings(**storage)  # type: ignore[arg-type]
    return open_artifacts(settings, tmp_path / "home", tmp_path / "cache", {})


def test_nothing_named_is_the_home_folder(tmp_path: Path) -> None:
    store = opened(tmp_path)

    stored = store.put([b"model"], 100)
    assert store.local_path(stored.digest).is_relative_to(tmp_path / "home")


def test_a_file_url_is_another_folder(tmp_path: Path) -> None:
    store = opened(tmp_path, artifacts_url=(tmp_path / "other place").as_uri())

    stored = store.put([b"model"], 100)
    assert store.local_path(stored.digest).is_relative_to(tmp_path / "other place")


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/b", "gs://bucket/x"])
def test_an_object_store_is_opened_without_asking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)

    assert isinstance(opened(tmp_path, artifacts_url=url), RemoteArtifacts)


def test_an_azure_container_needs_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        InvalidArgument, match=r"'az://models' cannot be used: .* set AZURE_STORAGE_"
    ):
        opened(tmp_path, artifacts_url="az://models")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert isinstance(opened(tmp_path, artifacts_url="az://models"), RemoteArtifacts)


@pytest.mark.parametrize(
    "url",
    [
        "bucket", "/folder", "s3:bucket", "s3://", "ftp://host/x", "https://host/x", "file://host/x",
        "file:relative", "s3://bucket?x=1", "s3://key:password@bucket/x", "memory://",
    ],
)  # fmt: skip
def test_what_names_no_store_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"storage\.artifacts_url") as refusal:
        opened(tmp_path, artifacts_url=url)

    assert "password" not in str(refusal.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://192.0.2.1:9000", "in the clear"),
        ("http://localhost.example.com", "in the clear"),
        ("s3.example.com", "is not a URL"),
        ("ftp://s3.example.com", "is not a URL"),
        ("https://key:password@s3.example.com", "is not a URL"),
    ],
)
def test_an_endpoint_that_would_show_keys_is_refused(
    tmp_path: Path, endpoint: str, reason: str
) -> None:
    with pytest.raises(InvalidArgument, match=reason) as refusal:
        opened(tmp_path, artifacts_url="s3://bucket", s3_endpoint=endpoint)

    assert "password" not in str(refusal.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_plain_http_on_this_machine_is_fine(tmp_path: Path, endpoint: str) -> None:
    store = opened(tmp_path, artifacts_url="s3://bucket", s3_endpoint=endpoint)
    assert isinstance(store, RemoteArtifacts)


def test_plain_http_elsewhere_is_fine_when_it_is_allowed(tmp_path: Path) -> None:
    allowed = {"s3_endpoint": "http://192.0.2.1:9000", "allow_http": True}
    store = opened(tmp_path, artifacts_url="s3://bucket", **allowed)
    assert isinstance(store, RemoteArtifacts)
