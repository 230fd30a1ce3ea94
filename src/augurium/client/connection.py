"""The connection to a server: one function sends every request and translates every failure."""

import ipaddress
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
import msgspec

from augurium.client.errors import ClientClosed, error_of_response, error_of_transport
from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.files import CHUNK_BYTES
from augurium.core.identifiers import check_model_name

Result = TypeVar("Result")
MAX_PORT = 65535
KEPT_S = 60.0  # an engine ends a connection after 75 idle seconds


class Sending(TypedDict, total=False):
    """What may go along with a request: `body` becomes JSON, `content` is sent as it is."""

    body: object
    content: bytes | Iterable[bytes]
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    timeout_s: float


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files for servers with `https://` URLs; None means not given.

    `ca` signed the server's certificate, where the machine's own authorities did not. `certificate`
    and `key` are the caller's, for servers that ask for one.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class HttpOptions:
    """What every connection to one server has in common: its URL, the key and TLS.

    Raises InvalidArgument for a URL or TLS files that cannot be used.
    """

    def __init__(self, url: str, key: str | None, tls: TlsFiles) -> None:
        self.url = checked_url(url)
        self.key = key
        self.tls = tls
        self.encrypted = self.url.startswith("https://")
        # a proxy of the environment cannot reach this machine's own loopback
        self.local = _is_loopback(self.url)
        self.arguments: dict[str, Any] = {
            "verify": _verified(self.url, tls),
            "headers": {"authorization": f"Bearer {key}"} if key else {},
            "trust_env": not self.local,
        }


def http_limits(connections: int) -> httpx.Limits:
    """A pool that keeps every connection, for less than the time after which a server ends one."""
    return httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=KEPT_S,
    )


class Connection:
    """A pool of HTTP connections with one key and one timeout. Safe to share between threads."""

    def __init__(self, options: HttpOptions, timeout_s: float) -> None:
        self.url = options.url
        self._timeout_s = timeout_s
        self._http = httpx.Client(**options.arguments, timeout=timeout_s)

    def send(self, method: str, url: str, **sending: Unpack[Sending]) -> httpx.Response:
        """Sends one request and returns the answer, whatever its status.

        Raises NoServer when nothing listens, DeadlineExceeded when there is no answer in time,
        NotReady when the connection breaks, and ClientClosed after `close`.
        """
        if self._http.is_closed:
            raise ClientClosed
        timeout_s = sending.get("timeout_s", self._timeout_s)
        headers = dict(sending.get("headers", {}))
        content = sending.get("content")
        if "body" in sending:
            content = msgspec.json.encode(sending["body"])
            headers["content-type"] = "application/json"
        try:
            return self._http.request(
                method,
                url,
                content=content,
                headers=headers,
                params=sending.get("parameters"),
                timeout=timeout_s,
            )
        except httpx.TransportError as error:
            raise error_of_transport(error, origin(url), timeout_s) from error

    def request(self, method: str, url: str, **sending: Unpack[Sending]) -> httpx.Response:
        """As `send`, and raises the error that an unsuccessful answer stands for."""
        response = self.send(method, url, **sending)
        if not response.is_success:
            raise error_of_response(response)
        return response

    def call(
        self, method: str, url: str, result: type[Result], **sending: Unpack[Sending]
    ) -> Result:
        """As `request`, and reads the JSON answer as a `result`."""
        return decoded(self.request(method, url, **sending), result)

    def download(self, url: str, timeout_s: float | None = None) -> Iterator[bytes]:
        """A large answer in pieces, complete or not at all.

        Raises as `request`, and NotReady when the answer breaks off.
        """
        timeout_s = timeout_s or self._timeout_s
        try:
            with self._http.stream("GET", url, timeout=timeout_s) as response:
                if not response.is_success:
                    response.read()
                    raise error_of_response(response)
                yield from response.iter_raw(CHUNK_BYTES)
        except httpx.TransportError as error:
            raise error_of_transport(error, origin(url), timeout_s) from error

    def close(self) -> None:
        """Closes all connections; nothing can be sent afterwards."""
        self._http.close()


def api_url(url: str, *segments: object) -> str:
    """Where the management API has something. Raises InvalidArgument for a name no model has."""
    match segments:
        case ("models", str() as name, *_):
            # a server sees a path only, and can say no more than that there is no such one
            check_model_name(name)
    path = "/".join(quote(str(segment), safe="") for segment in segments)
    return f"{url}/api/v1/{path}"


def decoded(response: httpx.Response, result: type[Result]) -> Result:
    """The JSON body of an answer. Raises AuguriumError when it is not what the contract says."""
    try:
        return msgspec.json.decode(response.content, type=result)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuguriumError(
            f"{response.request.url} did not answer as an Augurium server does ({error}); "
            "check AUGURIUM_URL, or update the client"
        ) from error


def _verified(url: str, tls: TlsFiles) -> ssl.SSLContext | bool:
    # a context takes 20 ms to make, which every command would pay
    if url.startswith("http://"):
        return False
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        files = [name for name in (tls.ca, tls.certificate, tls.key) if name]
        raise InvalidArgument(f"TLS files {', '.join(files)} cannot be used: {reason}") from error
    return context


def checked_url(url: str) -> str:
    """A URL without the slash at its end. Raises InvalidArgument for what is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidArgument(f"server URL {url!r} cannot be read: {error}") from error
    complete = parsed.scheme in ("http", "https") and parsed.host
    if not complete or (parsed.port or 0) > MAX_PORT:
        raise InvalidArgument(
            f"server URL {url!r} is not one; expected one such as http://127.0.0.1:8080"
        )
    return url.rstrip("/")


def origin(url: str) -> str:
    """The scheme, host and port of a URL."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode()}"


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
