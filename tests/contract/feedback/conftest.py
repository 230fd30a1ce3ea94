"""The journal of feedback, once per adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from augurium.feedback.journal import Journal
from augurium.feedback.memory_journal import MemoryJournal
from augurium.feedback.sql_journal import SqlJournal
from augurium.registry.database import open_database, sqlite_url
from tests.support.postgres_server import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    url = (
        sqlite_url(tmp_path / "registry.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = open_database(url)
    yield SqlJournal(engine)
    engine.dispose()
