"""Objects of S3, Google Cloud Storage and Azure, read by the client with the user's credentials."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from augurium.client.content import Content
from augurium.client.tar_stream import TarContent
from augurium.core.errors import AuguriumError, InvalidArgument, NotFound, NotReady
from augurium.core.files import CHUNK_BYTES
from augurium.core.store_credentials import lacking_credentials

SCHEMES = ("s3", "gs", "az")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ATTEMPTS = 4
RETRY_TIMEOUT = timedelta(seconds=30)


def object_content(url: str) -> Content:
    """One object, or all objects below a prefix as a tar.

    Credentials come from the environment (AWS_..., GOOGLE_..., AZURE_...). Raises NotFound,
    InvalidArgument for a URL without a bucket or with credentials, and NotReady when the store does
    not answer or refuses.
    """
    parts = urlsplit(url)
    key = unquote(parts.path).strip("/")
    if not parts.netloc or not key or "@" in parts.netloc or parts.query:
        raise InvalidArgument(
            f"'{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}' does not name an "
            f"object; expected one such as {parts.scheme}://bucket/models/churn.onnx, with the "
            "credentials in the environment"
        )
    place = f"{parts.scheme}://{parts.netloc}"
    store = _store(parts.scheme, place)
    shown = f"{place}/{key}"
    found = _found(store, key, shown)
    if found is not None:
        return ObjectContent(store, found, shown)
    members: dict[str, Content] = {
        meta["path"].removeprefix(f"{key}/"): ObjectContent(store, meta, shown)
        for meta in _listed(store, key, shown)
    }
    if not members:
        raise NotFound(f"{shown} does not exist; check bucket and key")
    return TarContent(key.rpartition("/")[2], members)


class ObjectContent:
    """One object. A stream that breaks off goes on where it broke."""

    def __init__(self, store: Any, meta: Any, shown: str) -> None:
        self._store = store
        self._key: str = meta["path"]
        self._tag: str | None = meta["e_tag"]
        self._shown = shown
        self.name = self._key.rpartition("/")[2]
        self.size_bytes: int | None = meta["size"]

    def chunks(self) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError

        sent, size, failures = 0, self.size_bytes or 0, 0
        while sent < size:
            options: Any = {"if_match": self._tag}
            if sent:
                options["range"] = {"offset": sent}
            try:
                found = obstore.get(self._store, self._key, options=options)
                for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    yield bytes(chunk)
                    sent += len(chunk)
                    failures = 0
            except (BaseError, OSError) as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise _translated(error, self._shown) from error
        if sent != size:
            raise NotReady(f"{self._shown} changed while it was read; send it again")


def _store(scheme: str, place: str) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    config: dict[str, str] = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "") if scheme == "s3" else ""
    if endpoint:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        config = {"endpoint": endpoint, "region": region or "us-east-1"}
    plain = endpoint.startswith("http://")
    if plain and urlsplit(endpoint).hostname not in LOOPBACK:
        raise InvalidArgument(
            "AWS_ENDPOINT_URL is plain http on another machine: keys and data would cross the "
            "network in the clear; use https"
        )
    options = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "3600s"}
    try:
        settings: Any = {
            "client_options": {**options, "allow_http": plain},
            # without credentials it asks the machine for its role, for minutes if it may
            "retry_config": {"max_retries": ATTEMPTS, "retry_timeout": RETRY_TIMEOUT},
        }
        return from_url(place, config=config or None, **settings)  # type: ignore[arg-type]
    except (BaseError, ValueError) as error:
        reason = lacking_credentials(place, str(error)) or str(error).partition("\n")[0]
        raise InvalidArgument(f"{place} cannot be used: {reason}") from error


def _found(store: Any, key: str, shown: str) -> Any:
    import obstore
    from obstore.exceptions import BaseError

    try:
        return obstore.head(store, key)
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        raise _translated(error, shown) from error


def _listed(store: Any, key: str, shown: str) -> list[Any]:
    import obstore
    from obstore.exceptions import BaseError

    try:
        found = [meta for batch in obstore.list(store, key) for meta in batch]
    except (BaseError, OSError) as error:
        raise _translated(error, shown) from error
    # a key that ends with a slash is how some tools make an empty folder
    return [meta for meta in found if not meta["path"].endswith("/")]


def _translated(error: Exception, shown: str) -> AuguriumError:
    from obstore.exceptions import PermissionDeniedError, PreconditionError, UnauthenticatedError

    lacking = lacking_credentials(shown, str(error))
    if lacking is not None:
        return NotReady(f"{shown} cannot be read: {lacking}")
    if isinstance(error, PreconditionError):
        return NotReady(f"{shown} changed while it was read; send it again")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
        return NotReady(f"{shown} may not be read; check the credentials in the environment")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{shown} does not exist; check bucket and key")
    return NotReady(f"{shown} cannot be read: the store does not answer; try again later")
