"""The registry's database: opened, brought to the newest schema, and used in whole transactions."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from augurium.core.errors import InvalidArgument
from augurium.core.settings import StorageSettings
from augurium.registry import postgresql, sqlite
from augurium.registry.database_errors import domain_errors, locked
from augurium.registry.schema import migrate, needs_migration
from augurium.registry.sqlite import sqlite_url

__all__ = ["check_url", "open_database", "reading", "registry_url", "sqlite_url", "writing"]

LOCK_TIMEOUT_S = 5.0
_TURN = "augurium_turn"
# without postgresql_readonly: SQLAlchemy undoes that with READ WRITE, and so the connection's next
# transaction would overrule a server that is set to read only
_ONE_STATE = {"isolation_level": "REPEATABLE READ"}


class _Turn(NamedTuple):
    """Where the writers of one process wait in line."""

    lock: threading.Lock
    timeout_s: float


def open_database(url: URL | str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Engine:
    """Connects, and brings the schema to the newest version; several processes may do so at once.

    `lock_timeout_s` is how long a transaction waits for another one to end. Raises InvalidArgument
    for a URL that names no usable database, NotReady when it cannot be opened and
    InsufficientStorage when its disk is full.
    """
    engine = _create_engine(url, lock_timeout_s)
    try:
        _bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def registry_url(storage: StorageSettings, file: Path) -> URL | str:
    """The registry's database: the one that the settings name, else SQLite in `file`."""
    return storage.database_url or sqlite_url(file)


def check_url(url: str) -> None:
    """Raises InvalidArgument for a URL that names no usable database; connects to none."""
    _create_engine(url, LOCK_TIMEOUT_S).dispose()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing."""
    options = _ONE_STATE if _is_postgresql(engine) else {}
    reader = engine.execution_options(**options)
    with domain_errors(), reader.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write; commits at the end, or undoes everything if the block raises.

    SQLite takes the write lock at the beginning, because a transaction that asks for it later fails
    when another wrote in between. PostgreSQL has no such lock: a change locks a row first, and sees
    in every statement what was committed before.
    """
    writer = engine.execution_options(**{sqlite.WRITING: True})
    with _turn(engine), domain_errors(), writer.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    # SQLite lets writers poll: of 20 threads, one waited as long as all the others took together
    turn: _Turn = engine.get_execution_options()[_TURN]
    if not turn.lock.acquire(timeout=turn.timeout_s):
        raise locked()
    try:
        yield
    finally:
        turn.lock.release()


def _create_engine(url: URL | str, lock_timeout_s: float) -> Engine:
    try:
        parsed = postgresql.driver_url(make_url(url))
        backend = parsed.get_backend_name()
        arguments: dict[str, Any] = {}
        if backend == "sqlite":
            sqlite.check_file(parsed)
            arguments = {"connect_args": {"timeout": lock_timeout_s}}
        elif backend == "postgresql":
            arguments = dict(postgresql.POOL)
        turn = _Turn(threading.Lock(), lock_timeout_s)
        engine = create_engine(
            parsed, pool_timeout=lock_timeout_s, execution_options={_TURN: turn}, **arguments
        )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidArgument(
            f"database URL cannot be used: {error}; expected something like "
            "sqlite:///registry.db or postgresql://user@host/name; for PostgreSQL, install "
            "augurium[postgres]"
        ) from error
    if backend == "sqlite":
        sqlite.configure(engine)
    elif backend == "postgresql":
        postgresql.configure(engine, lock_timeout_s)
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    with reading(engine) as connection:
        if not needs_migration(connection):
            return
    # a second process waits for the lock; it then finds nothing left to do
    with writing(engine) as connection:
        if _is_postgresql(engine):
            postgresql.lock_migrations(connection)
        if needs_migration(connection):
            migrate(connection)
    # nothing else may wait for a server for as long as a migration
    engine.dispose()


def _is_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"
