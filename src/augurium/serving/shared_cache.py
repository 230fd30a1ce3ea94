"""The second level of the prediction cache: rows that other engines and other nodes computed."""

from collections.abc import Sequence
from typing import Protocol


class SharedCache(Protocol):
    """Contents by key, for a time. It may forget anything at any time, and be away: then nothing
    is found and nothing is kept, but no call fails and none takes long.
    """

    @property
    def failures(self) -> int:
        """How often it could not be asked or told."""
        ...

    async def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What is known by each key."""
        ...

    def put(self, key: bytes, content: bytes, ttl_s: float) -> None:
        """Keeps a content for `ttl_s`; returns at once."""
        ...

    async def close(self) -> None:
        """Sends what was put, if it can, and lets go."""
        ...
