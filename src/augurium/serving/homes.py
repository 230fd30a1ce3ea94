"""Which of several engines is a version's home."""

import hashlib
from collections.abc import Iterable


def home_of(key: str, engines: Iterable[str]) -> str:
    """The engine that holds `key` for all `engines`, of which there is at least one. Whoever knows
    the same engines finds the same home; one engine more or less moves its own share only.

    Source: rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit
    Rates", IEEE/ACM Transactions on Networking 6(1), 1998).
    """
    return max(engines, key=lambda engine: (_weight(key, engine), engine))


def _weight(key: str, engine: str) -> bytes:
    return hashlib.blake2b(f"{engine}\n{key}".encode(), digest_size=8).digest()
