"""The key store, once per adapter."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from augurium.access.key_store import KeyStore
from augurium.access.memory_key_store import MemoryKeyStore
from augurium.access.sql_key_store import SqlKeyStore
from augurium.core.clock import ManualClock
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.registry import Registry
from augurium.registry.sql_registry import SqlRegistry
from tests.support.postgres_server import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]


class Kept(NamedTuple):
    """A key store and the registry it is kept with."""

    store: KeyStore
    registry: Registry


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def kept(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "memory":
        registry = MemoryRegistry(clock)
        yield Kept(MemoryKeyStore(clock, registry.note), registry)
        return
    url = (
        sqlite_url(tmp_path / "registry.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = open_database(url)
    sql_registry = SqlRegistry(engine, clock)
    yield Kept(SqlKeyStore(engine, clock), sql_registry)
    sql_registry.close()


@pytest.fixture
def store(kept: Kept) -> KeyStore:
    return kept.store
