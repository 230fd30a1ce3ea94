"""How a client reaches the data plane: what both clients take beside a URL and a key."""

import os
from typing import Literal, TypedDict

from augurium.client.connection import MAX_PORT, TlsFiles, checked_url
from augurium.client.grpc_calls import GrpcCalls
from augurium.client.prediction_steps import Calls
from augurium.client.rest_calls import RestCalls
from augurium.client.retries import Retries
from augurium.core.errors import InvalidArgument

DEFAULT_URL = "http://127.0.0.1:8080"
CONNECTIONS = 100
TRANSPORTS: dict[str, type[Calls]] = {"rest": RestCalls, "grpc": GrpcCalls}


class TransportOptions(TypedDict, total=False):
    """`transport` carries predictions: `rest` or `grpc`. `retries` says when a prediction is tried
    again. `connections` is the most that are open to the REST port at once. `rest_url` and
    `grpc_url` are where predictions go; the server is asked when they are not given.
    """

    transport: Literal["rest", "grpc"]
    retries: Retries
    connections: int
    rest_url: str
    grpc_url: str


def calls_of(options: TransportOptions) -> Calls:
    """How the chosen transport says things. Raises InvalidArgument for one that there is not."""
    transport = options.get("transport", "rest")
    if transport not in TRANSPORTS:
        raise InvalidArgument(
            f"transport is {transport!r}; expected one of {', '.join(TRANSPORTS)}"
        )
    return TRANSPORTS[transport]()


def check_places(options: TransportOptions) -> None:
    """Raises InvalidArgument for a place where no predictions can go."""
    if "rest_url" in options:
        checked_url(options["rest_url"])
    place = options.get("grpc_url", "node:8001")
    host, _, port = place.rpartition(":")
    if not host or "/" in place or not port.isdecimal() or not int(port) <= MAX_PORT:
        raise InvalidArgument(
            f"grpc_url {place!r} is not a host and port; expected one such as 127.0.0.1:8001"
        )


def connections_of(options: TransportOptions) -> int:
    """The most connections. Raises InvalidArgument for none."""
    connections = options.get("connections", CONNECTIONS)
    if connections < 1:
        raise InvalidArgument(f"connections is {connections}; expected 1 or more")
    return connections


def server_url(url: str | None) -> str:
    """The management URL given, else that of AUGURIUM_URL, else the usual one."""
    return url or os.environ.get("AUGURIUM_URL") or DEFAULT_URL


def server_key(key: str | None) -> str | None:
    """The key given, else that of AUGURIUM_KEY, if there is one."""
    return key or os.environ.get("AUGURIUM_KEY") or None


def tls_files(tls: TlsFiles | None) -> TlsFiles:
    """The TLS files given, else those of AUGURIUM_CA and its siblings."""
    names = ("AUGURIUM_CA", "AUGURIUM_CERTIFICATE", "AUGURIUM_CERTIFICATE_KEY")
    return tls or TlsFiles(*(os.environ.get(name) or None for name in names))
