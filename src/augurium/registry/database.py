"""The registry's database: opened, brought to the newest schema, and used in whole transactions.

All that is peculiar to SQLite stands here. A raw SQLAlchemy error never leaves this file.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import SQLAlchemyError as AnySqlError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from augurium.core.errors import (
    AuguriumError,
    InsufficientStorage,
    Internal,
    InvalidArgument,
    NotReady,
)

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_TIMEOUT_S = 5.0
_WRITING = "augurium_writing"
_TURN = "augurium_turn"
# Alembic keeps the migration that runs in module globals
_migrating = threading.Lock()


class _Turn(NamedTuple):
    """Where the writers of one process wait in line."""

    lock: threading.Lock
    timeout_s: float


def sqlite_url(file: Path) -> URL:
    """The URL of a SQLite database in `file`, whatever characters its path has."""
    return URL.create("sqlite", database=str(file.absolute()))


def open_database(url: URL | str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Engine:
    """Connects, and brings the schema to the newest version; several processes may do so at once.

    `lock_timeout_s` is how long a transaction waits for another one to end. Raises InvalidArgument
    for a URL that names no usable database, NotReady when it cannot be opened and
    InsufficientStorage when its disk is full.
    """
    engine = _create_engine(url, lock_timeout_s)
    try:
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing."""
    with _domain_errors(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write; commits at the end, or undoes everything if the block raises.

    SQLite takes the write lock at the beginning, because a transaction that asks for it later fails
    when another wrote in between.
    """
    writer = engine.execution_options(**{_WRITING: True})
    with _turn(engine), _domain_errors(), writer.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    # SQLite lets writers poll: of 20 threads, one waited as long as all the others took together
    turn: _Turn = engine.get_execution_options()[_TURN]
    if not turn.lock.acquire(timeout=turn.timeout_s):
        raise _locked()
    try:
        yield
    finally:
        turn.lock.release()


def _create_engine(url: URL | str, lock_timeout_s: float) -> Engine:
    try:
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite and parsed.database in (None, "", ":memory:"):
            raise InvalidArgument(
                "a SQLite registry needs a file, as in sqlite:///registry.db; "
                "use MemoryRegistry to keep nothing"
            )
        arguments: dict[str, Any] = {"timeout": lock_timeout_s} if sqlite else {}
        engine = create_engine(
            parsed,
            connect_args=arguments,
            pool_timeout=lock_timeout_s,
            execution_options={_TURN: _Turn(threading.Lock(), lock_timeout_s)},
        )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidArgument(
            f"database URL cannot be used: {error}; expected something like sqlite:///registry.db"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, record: Any) -> None:
    # the driver must not begin transactions by itself: it would do so too late, and not for reads
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")


def _migrate(engine: Engine) -> None:
    config = Config()
    # a percent sign would be read as interpolation
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with _migrating:
        with reading(engine) as connection:
            if not _needs_migration(connection, scripts):
                return
        # the write lock makes a second process wait; it then finds nothing left to do
        with writing(engine) as connection:
            if _needs_migration(connection, scripts):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def _needs_migration(connection: Connection, scripts: ScriptDirectory) -> bool:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return True
    # a schema from the future is left alone: it serves this release too, because a migration takes
    # nothing away that the release before still needs
    known = {script.revision for script in scripts.walk_revisions()}
    return current in known and current != scripts.get_current_head()


@contextmanager
def _domain_errors() -> Iterator[None]:
    try:
        yield
    except AnySqlError as error:
        raise _translated(error) from error


def _translated(error: AnySqlError) -> AuguriumError:
    code = str(getattr(getattr(error, "orig", None), "sqlite_errorname", ""))
    if code == "SQLITE_FULL":
        return InsufficientStorage(
            "the disk of the registry database is full and nothing was changed; "
            "free some space and try again"
        )
    if code.startswith("SQLITE_READONLY"):
        return NotReady(
            "the registry database is read-only; make its file, folder and file system writable"
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or isinstance(error, PoolTimeout):
        return _locked()
    if type(error) in (OperationalError, DatabaseError):
        reason = str(getattr(error, "orig", error))
        return NotReady(f"the registry database cannot be used: {reason}; check its file and disk")
    return Internal("the registry database refused a statement")


def _locked() -> NotReady:
    return NotReady(
        "the registry database is locked by another transaction; nothing was changed; try again"
    )
