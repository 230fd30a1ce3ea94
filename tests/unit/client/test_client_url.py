"""Which URL a client talks to."""

import pytest

from augurium.client import Client
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
