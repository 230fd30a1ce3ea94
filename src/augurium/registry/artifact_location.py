"""Which artifact store the settings name: a folder, or a bucket of an object store."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from augurium.core.errors import InvalidArgument
from augurium.core.settings import StorageSettings
from augurium.core.store_credentials import lacking_credentials
from augurium.registry.artifact_cache import ArtifactCache
from augurium.registry.artifact_names import ROOT
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.ranged_download import RemoteStore
from augurium.registry.remote_artifacts import RemoteArtifacts, RemotePlace
from augurium.registry.s3_uploads import PendingUploads, S3Place

SCHEMES = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder"
STORES: dict[str, type[S3Store] | type[GCSStore] | type[AzureStore]] = {
    "s3": S3Store,
    "gs": GCSStore,
    "az": AzureStore,
}
Artifacts = ObstoreArtifacts | RemoteArtifacts
LOOPBACK = ("127.0.0.1", "localhost", "::1")
QUICK_RETRIES = 2
REQUEST_TIMEOUT_S = 600.0
RETRY_TIMEOUT_S = 60.0
PAUSES = {
    "init_backoff": timedelta(milliseconds=100),
    "max_backoff": timedelta(seconds=3),
    "base": 2,
}


def open_artifacts(
    settings: StorageSettings, folder: Path, cache: Path, environment: Mapping[str, str]
) -> Artifacts:
    """The store of `settings`: `folder` unless they name another; `cache` has the copies of remote
    files. Nothing is asked of a remote store yet.

    Raises InvalidArgument for a URL that names none and for plain http to another machine.
    """
    place = artifact_place(settings, folder, environment)
    if isinstance(place, Path):
        return ObstoreArtifacts(place)
    return RemoteArtifacts(place, ArtifactCache(cache, settings.cache_bytes))


def artifact_place(
    settings: StorageSettings, folder: Path, environment: Mapping[str, str]
) -> Path | RemotePlace:
    """The folder or object store that `settings` name, `folder` where they name none.

    Raises as `open_artifacts`.
    """
    url = settings.artifacts_url
    if not url:
        return folder
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(url)
    if parts.scheme not in STORES or not parts.netloc or parts.query or "@" in parts.netloc:
        # a URL may hold a password by mistake, so its user part is never repeated
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise InvalidArgument(
            f"storage.artifacts_url {shown!r} is not one; expected {SCHEMES}, without credentials"
        )
    return object_place(url, settings, environment, "storage.artifacts_url")


def pending_uploads(
    settings: StorageSettings, environment: Mapping[str, str]
) -> PendingUploads | None:
    """The unfinished uploads of the S3 store that `settings` name.

    None for other stores, and where the credentials are not plain variables: there a lifecycle rule
    of the bucket has to cancel them.
    """
    parts = urlsplit(settings.artifacts_url)
    access_key = environment.get("AWS_ACCESS_KEY_ID", "")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY", "")
    if parts.scheme != "s3" or not (access_key and secret_key):
        return None
    config = _s3_config(settings, environment)
    region = config.get("region") or _region(environment)
    endpoint = config.get("endpoint") or f"https://s3.{region}.amazonaws.com"
    place = S3Place(
        origin=endpoint.rstrip("/"),
        bucket_path=f"/{parts.netloc}",
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        token=environment.get("AWS_SESSION_TOKEN", ""),
        prefix=f"{parts.path.strip('/')}/{ROOT}/".lstrip("/"),
    )
    return PendingUploads(place, _timeout(settings))


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(url2pathname(parts.path))
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidArgument(
            f"storage.artifacts_url {url!r} is not a folder; expected file:///folder"
        )
    return path


def object_place(
    url: str, settings: StorageSettings, environment: Mapping[str, str], named: str
) -> RemotePlace:
    """The object store of a URL, asked with the time limits and retries of `settings`.

    Raises InvalidArgument, in which it is `named`, if it cannot be used.
    """
    scheme = urlsplit(url).scheme
    config = _s3_config(settings, environment) if scheme == "s3" else {}
    options = {
        "connect_timeout": timedelta(seconds=settings.connect_timeout_s),
        "read_timeout": timedelta(seconds=settings.read_timeout_s),
        "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
        "allow_http": config.get("endpoint", "").startswith("http://"),
    }

    def opened(retries: int) -> RemoteStore:
        retry = {
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
            "backoff": PAUSES,
        }
        kind: Any = STORES[scheme]
        store: RemoteStore = kind.from_url(
            url, config=config, client_options=options, retry_config=retry
        )
        return store

    try:
        store, quick = opened(settings.retries), opened(min(QUICK_RETRIES, settings.retries))
    except (BaseError, ValueError) as error:
        reason = lacking_credentials(url, str(error)) or str(error).partition("\n")[0]
        raise InvalidArgument(f"{named} {url!r} cannot be used: {reason}") from error
    shown = _shown(url, config)
    return RemotePlace(shown, store, quick, settings.retries, _timeout(settings))


def _timeout(settings: StorageSettings) -> httpx.Timeout:
    return httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)


def _region(environment: Mapping[str, str]) -> str:
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"


def _shown(url: str, config: Mapping[str, str]) -> str:
    endpoint = config.get("endpoint", "")
    return url + (f" at {endpoint}" if endpoint else "")


def _s3_config(settings: StorageSettings, environment: Mapping[str, str]) -> dict[str, str]:
    endpoint = settings.s3_endpoint or environment.get("AWS_ENDPOINT_URL", "")
    if not endpoint:
        return {}
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise InvalidArgument(
            "the S3 endpoint is not a URL; expected one such as https://s3.example.com, without "
            "credentials (storage.s3_endpoint, AWS_ENDPOINT_URL)"
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not settings.allow_http:
        raise InvalidArgument(
            f"the S3 endpoint {endpoint} is plain http on another machine: keys and models would "
            "cross the network in the clear; use https, or set storage.allow_http"
        )
    return {"endpoint": endpoint, "region": _region(environment)}
