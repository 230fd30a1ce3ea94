"""The connection to a server: one function sends every request and translates every failure."""

import ipaddress
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict, TypeVar, Unpack

import httpx
import msgspec

from augurium.client.errors import error_of_response, error_of_transport
from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.files import CHUNK_BYTES

Result = TypeVar("Result")
MAX_PORT = 65535


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


class Connection:
    """A pool of HTTP connections with one key and one timeout. Safe to share between threads.

    Raises InvalidArgument for a URL or TLS files that cannot be used.
    """

    def __init__(self, url: str, key: str | None, timeout_s: float, tls: TlsFiles) -> None:
        self.url = _checked(url)
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            verify=_verified(self.url, tls),
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=timeout_s,
            # a proxy of the environment cannot reach this machine's own loopback
            trust_env=not _is_loopback(self.url),
        )

    def send(self, method: str, url: str, **sending: Unpack[Sending]) -> httpx.Response:
        """Sends one request and returns the answer, whatever its status.

        Raises NoServer when nothing listens, DeadlineExceeded when there is no answer in time and
        NotReady when the connection breaks.
        """
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
            raise error_of_transport(error, _origin(url), timeout_s) from error

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
            raise error_of_transport(error, _origin(url), timeout_s) from error

    def close(self) -> None:
        """Closes all connections; nothing can be sent afterwards."""
        self._http.close()


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


def _checked(url: str) -> str:
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


def _origin(url: str) -> str:
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode()}"


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
