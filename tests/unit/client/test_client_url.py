"""Which URL a client talks to."""

import pytest

from augurium.client import AsyncClient, Client
from augurium.client.transport_options import TransportOptions
from augurium.core.errors import InvalidArgument


def test_the_url_given_counts_and_needs_no_slash_at_its_end() -> None:
    with Client("http://node:9000/") as client:
        assert client.url == "http://node:9000"


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "localhost", "ftp://node", "http://", "http://node:65536", "http://\0"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="server URL"):
        Client(url)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"transport": "smoke"}, "rest, grpc"),
        ({"connections": 0}, "1 or more"),
        ({"rest_url": "node:8000"}, "server URL"),
        ({"grpc_url": "http://node:8001"}, "host and port"),
        ({"grpc_url": "node"}, "host and port"),
        ({"grpc_url": "node:70000"}, "host and port"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    kind: type[Client | AsyncClient], options: TransportOptions, text: str
) -> None:
    with pytest.raises(InvalidArgument, match=text):
        kind("http://node:8080", **options)
