"""All that is peculiar to SQLite."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from augurium.core.errors import InvalidArgument

# the option of a transaction that takes the write lock when it begins
WRITING = "augurium_writing"


def sqlite_url(file: Path) -> URL:
    """The URL of a SQLite database in `file`, whatever characters its path has."""
    return URL.create("sqlite", database=str(file.absolute()))


def check_file(url: URL) -> None:
    """Raises InvalidArgument for a database in memory, which every connection would see another
    of.
    """
    if url.database in (None, "", ":memory:"):
        raise InvalidArgument(
            "a SQLite registry needs a file, as in sqlite:///registry.db; "
            "use MemoryRegistry to keep nothing"
        )


def configure(engine: Engine) -> None:
    """Commits are synced, references checked, and transactions begin when we say so."""
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)


def _set_pragmas(connection: Any, record: Any) -> None:
    # the driver must not begin transactions by itself: it would do so too late, and not for reads
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")
