import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, text

from augurium.core.clock import SystemClock
from augurium.core.errors import InvalidArgument, NotReady
from augurium.registry.database import open_database, reading, sqlite_url, writing
from augurium.registry.records import VersionDraft
from augurium.registry.sql_registry import SqlRegistry
from augurium.registry.tables import metadata


def registry_at(url: URL | str, lock_timeout_s: float = 5.0) -> SqlRegistry:
    return SqlRegistry(open_database(url, lock_timeout_s), SystemClock())


@pytest.fixture
def registry(url: URL) -> Iterator[SqlRegistry]:
    opened = registry_at(url, lock_timeout_s=0.05)
    yield opened
    opened.close()


def test_migrations_make_the_schema_of_the_tables(url: URL) -> None:
    engine = open_database(url)

    with reading(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_a_registry_is_found_again_after_it_was_closed(url: URL, draft: VersionDraft) -> None:
    first = registry_at(url)
    registered = first.register("fraud", draft, "ann")
    first.close()

    second = registry_at(url)

    assert second.version("fraud", 1) == registered
    assert second.revision() == 1
    second.close()


def test_commits_are_synced_and_references_are_checked(url: URL) -> None:
    engine = open_database(url)

    with reading(engine) as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_block_that_raises_changes_nothing(url: URL, draft: VersionDraft) -> None:
    registry = registry_at(url)
    registry.register("fraud", draft, "ann")
    engine = open_database(url)

    with pytest.raises(KeyboardInterrupt), writing(engine) as connection:  # noqa: PT012
        connection.execute(text("DELETE FROM versions"))
        raise KeyboardInterrupt
    engine.dispose()

    assert len(registry.versions("fraud")) == 1
    registry.close()


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "a?b=c#d.db", "ünï.db"])
def test_a_database_file_may_have_any_name(tmp_path: Path, draft: VersionDraft, name: str) -> None:
    registry = registry_at(sqlite_url(tmp_path / name))
    registry.register("fraud", draft, "ann")
    registry.close()

    assert (tmp_path / name).stat().st_size > 0


def test_a_schema_of_the_next_release_is_left_alone(url: URL, draft: VersionDraft) -> None:
    registry_at(url).close()
    with closing(sqlite3.connect(url.database or "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("ALTER TABLE models ADD COLUMN colour TEXT")
        connection.commit()

    registry = registry_at(url)

    assert registry.register("fraud", draft, "ann").version == 1
    registry.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registry.db",
        "sqlite://",
        "sqlite:///:memory:",
        "nosuch:///x",
        "postgresql+nosuch://h/d",
    ],
)
def test_a_url_that_names_no_usable_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"sqlite:///registry\.db"):
        open_database(url)


def test_a_folder_that_does_not_exist_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="unable to open database file"):
        open_database(sqlite_url(tmp_path / "nowhere" / "registry.db"))


def test_a_file_that_is_no_database_is_not_ready(url: URL) -> None:
    Path(url.database or "").write_bytes(os.urandom(10_000))

    with pytest.raises(NotReady, match="file is not a database"):
        open_database(url)


def test_a_locked_database_is_not_ready_for_changes_but_still_read(
    registry: SqlRegistry, url: URL, draft: VersionDraft
) -> None:
    registry.register("fraud", draft, "ann")

    with closing(sqlite3.connect(url.database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotReady, match="locked"):
            registry.register("fraud", draft, "ann")
        assert registry.model("fraud").latest_version == 1
        other.execute("ROLLBACK")

    assert registry.register("fraud", draft, "ann").version == 2


def test_a_thread_whose_turn_does_not_come_is_told_that_the_database_is_locked(
    url: URL, draft: VersionDraft
) -> None:
    engine = open_database(url, lock_timeout_s=0.05)
    registry = SqlRegistry(engine, SystemClock())

    with ThreadPoolExecutor(1) as other, writing(engine):
        waiting = other.submit(registry.register, "fraud", draft, "ann")
        with pytest.raises(NotReady, match="locked"):
            waiting.result()

    assert registry.register("fraud", draft, "ann").version == 1
    registry.close()


def test_a_read_only_database_is_not_ready_for_changes_but_still_read(
    registry: SqlRegistry, url: URL, draft: VersionDraft
) -> None:
    registry.register("fraud", draft, "ann")
    frozen = registry_at(f"sqlite:///file:{url.database}?mode=ro&uri=true")

    for change in (
        lambda: frozen.register("fraud", draft, "ann"),
        lambda: frozen.set_deployed("fraud", 1, True, "ann"),
        lambda: frozen.set_alias("fraud", "champion", 1, "ann"),
    ):
        with pytest.raises(NotReady, match="read-only"):
            change()

    assert frozen.model("fraud").latest_version == 1
    assert frozen.revision() == registry.revision() == 1
    frozen.close()


def test_a_damaged_table_is_not_ready(registry: SqlRegistry, url: URL) -> None:
    with closing(sqlite3.connect(url.database or "")) as other:
        other.execute("DROP TABLE aliases")

    with pytest.raises(NotReady, match="no such table"):
        registry.models()
