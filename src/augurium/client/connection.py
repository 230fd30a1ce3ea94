"""The connection to a server: one function sends every request and translates every failure."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypedDict, TypeVar, Unpack

import httpx
import msgspec

from augurium.client.errors import error_of_response, error_of_transport
from augurium.core.errors import AuguriumError, InvalidArgument

Result = TypeVar("Result")
MAX_PORT = 65535


class Sending(TypedDict, total=False):
    """What may go along with a request: `body` becomes JSON, `content` is sent as it is."""

    body: object
    content: bytes | Iterable[bytes]
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    timeout_s: float


class Connection:
    """A pool of HTTP connections with one key and one timeout. Safe to share between threads."""

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        self.url = _checked(url)
        self._timeout_s = timeout_s
        self._http = httpx.Client(
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
