"""The registry on a PostgreSQL that is stopped, frozen, killed, crowded and full."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from msgspec.structs import replace

from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError, Conflict, InsufficientStorage, NotReady
from augurium.registry.database import open_database, reading
from augurium.registry.records import Artifact, Version, VersionDraft
from augurium.registry.sql_registry import SqlRegistry
from augurium.registry.tables import metadata
from tests.support.postgres_server import PostgresServer, postgres, postgres_server, postgres_url

__all__ = ["postgres", "postgres_url"]

OTHER = Artifact("c" * 64, 1)


def registry_at(url: str, lock_timeout_s: float = 5.0) -> SqlRegistry:
    return SqlRegistry(open_database(url, lock_timeout_s), SystemClock())


@pytest.fixture
def registry(postgres_url: str) -> Iterator[SqlRegistry]:
    opened = registry_at(postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop and kill; what it acknowledged is on the disk."""
    with postgres_server(durable=True) as server:
        yield server


def test_migrations_make_the_schema_of_the_tables(postgres_url: str) -> None:
    engine = open_database(postgres_url)

    with reading(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_servers_that_start_at_once_make_the_schema_once(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE race")

    with ThreadPoolExecutor(4) as starters:
        registries = list(starters.map(lambda _: registry_at(postgres.url("race")), range(4)))

    assert [registry.revision() for registry in registries] == [0] * 4
    for registry in registries:
        registry.close()


def test_twenty_writers_over_two_pools_get_each_number_once(
    postgres_url: str, draft: VersionDraft
) -> None:
    registries = [registry_at(postgres_url) for _ in range(2)]

    with ThreadPoolExecutor(20) as writers:
        numbers = list(
            writers.map(
                lambda turn: registries[turn % 2].register("fraud", draft, "ann").version,
                range(100),
            )
        )

    assert sorted(numbers) == list(range(1, 101))
    assert registries[0].verify_audit().intact
    for registry in registries:
        registry.close()


def test_no_acknowledged_write_is_lost_when_the_server_is_killed_under_twenty_writers(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    registry = registry_at(own_server.url(), lock_timeout_s=2.0)
    acknowledged: list[Version] = []
    failed: list[AuguriumError] = []
    some, done = threading.Event(), threading.Event()

    def write(_: int) -> None:
        while not done.is_set():
            try:
                acknowledged.append(registry.register("fraud", draft, "ann"))
            except NotReady as error:
                failed.append(error)
                done.wait(0.05)
            if len(acknowledged) >= 50:
                some.set()

    with ThreadPoolExecutor(20) as writers:
        writing = [writers.submit(write, number) for number in range(20)]
        assert some.wait(60)
        own_server.kill()
        down = len(acknowledged)
        own_server.start()
        deadline = time.monotonic() + 30
        while len(acknowledged) < down + 20 and time.monotonic() < deadline:
            with suppress(AuguriumError):
                registry.revision()
        done.set()
        for one in writing:
            one.result()

    numbers = sorted(version.version for version in acknowledged)
    kept = {version.version: version for version in registry.versions("fraud")}
    assert len(numbers) >= down + 20
    assert failed
    assert len(set(numbers)) == len(numbers)
    assert all(kept[version.version] == version for version in acknowledged)
    assert sorted(kept) == list(range(1, len(kept) + 1))
    assert registry.revision() == registry.model("fraud").latest_version == len(kept)
    assert registry.verify_audit().intact
    registry.close()


def test_no_version_stands_on_a_file_that_a_slow_store_removes_for_longer_than_a_session_may_idle(
    postgres_url: str, draft: VersionDraft
) -> None:
    here, there = (registry_at(postgres_url, lock_timeout_s=1.0) for _ in range(2))
    files = {artifact.digest for artifact in draft.artifacts()}
    begun, go_on = threading.Event(), threading.Event()

    def remove(digest: str) -> None:
        begun.set()
        assert go_on.wait(30)
        files.remove(digest)

    with ThreadPoolExecutor(1) as collector:
        removed = collector.submit(here.discard, list(files), remove, "gc")
        assert begun.wait(10)
        # the server ends a session that idles in a transaction for twice (1 + 1) seconds
        time.sleep(5)
        with pytest.raises(Conflict, match="upload it again in a moment"):
            there.register("fraud", draft, "ann")
        there.register("other", replace(draft, source=OTHER, servable=OTHER), "ann")
        go_on.set()
        assert sorted(removed.result()) == sorted({draft.source.digest, draft.servable.digest})

    assert files == set()
    assert there.register("fraud", draft, "ann").version == 1
    here.close()
    there.close()


def test_a_server_killed_under_a_collection_lets_no_version_stand_on_what_it_removes(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    registry = registry_at(own_server.url(), lock_timeout_s=1.0)
    begun, go_on = threading.Event(), threading.Event()

    def remove(digest: str) -> None:
        begun.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(1) as collector:
        removed = collector.submit(registry.discard, [draft.source.digest], remove, "gc")
        assert begun.wait(10)
        own_server.kill()
        own_server.start()
        with pytest.raises(Conflict, match="upload it again in a moment"):
            _once_up(lambda: registry.register("fraud", draft, "ann"))
        go_on.set()
        assert removed.result() == [draft.source.digest]

    assert registry.audit()[0].action == "discard"
    assert registry.register("fraud", draft, "ann").version == 1
    registry.close()


def _once_up(work: Callable[[], object]) -> None:
    """Does it, again while connections of before the kill are still being given up."""
    deadline = time.monotonic() + 20
    while True:
        try:
            work()
        except NotReady:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_stopped_server_is_not_ready_at_once_and_used_again_when_it_is_back(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    registry = registry_at(own_server.url())
    registry.register("fraud", draft, "ann")
    own_server.stop()

    def ask(turn: int) -> float:
        started = time.monotonic()
        with pytest.raises(NotReady, match="does not answer"):
            registry.register("fraud", draft, "ann") if turn % 2 else registry.models()
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as callers:
        seconds = list(callers.map(ask, range(40)))
    own_server.start()

    assert max(seconds) < 5.0
    assert registry.register("fraud", draft, "ann").version == 2
    registry.close()


def test_callers_of_a_frozen_server_are_let_go_and_it_is_used_again_when_it_thaws(
    own_server: PostgresServer, draft: VersionDraft
) -> None:
    registry = registry_at(own_server.url(), lock_timeout_s=0.5)
    registry.register("fraud", draft, "ann")

    def ask(turn: int) -> float:
        started = time.monotonic()
        with pytest.raises(NotReady):
            registry.register("fraud", draft, "ann") if turn % 2 else registry.models()
        return time.monotonic() - started

    with own_server.frozen(), ThreadPoolExecutor(40) as callers:
        seconds = list(callers.map(ask, range(40)))

    # at most a turn for a connection, its time to connect, and the limit of a statement
    assert max(seconds) < 20.0
    deadline = time.monotonic() + 20
    while True:
        try:
            version = registry.register("fraud", draft, "ann")
        except NotReady:
            assert time.monotonic() < deadline
        else:
            break
    assert version.version == registry.model("fraud").latest_version
    assert registry.verify_audit().intact
    registry.close()


def test_a_registry_that_another_transaction_locks_is_not_ready_for_changes_but_still_read(
    registry: SqlRegistry, postgres_url: str, draft: VersionDraft
) -> None:
    registry.register("fraud", draft, "ann")
    # ends statements as well, so it is not what the rest is done with
    impatient = registry_at(postgres_url, lock_timeout_s=0.5)

    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT * FROM registry_counter FOR UPDATE")
        with pytest.raises(NotReady, match="locked"):
            impatient.register("fraud", draft, "ann")
        assert registry.model("fraud").latest_version == 1

    assert registry.register("fraud", draft, "ann").version == 2
    impatient.close()


def test_a_read_sees_one_state_whatever_is_written_meanwhile(
    registry: SqlRegistry, postgres_url: str, draft: VersionDraft
) -> None:
    registry.register("fraud", draft, "ann")
    engine = open_database(postgres_url)

    with reading(engine) as connection:
        before = connection.exec_driver_sql("SELECT revision FROM registry_counter").scalar()
        registry.register("fraud", draft, "ann")
        after = connection.exec_driver_sql("SELECT count(*) FROM versions").scalar()
    engine.dispose()

    assert (before, after) == (1, 1)


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("53100", InsufficientStorage, "disk of the registry database is full"),
        ("25006", NotReady, "read-only"),
        ("53300", NotReady, "takes no more connections"),
        ("55P03", NotReady, "locked"),
        ("40P01", NotReady, "locked"),
        ("57P01", NotReady, "does not answer"),
    ],
)
def test_what_the_server_refuses_is_told_in_our_words_and_changes_nothing(
    registry: SqlRegistry,
    postgres_url: str,
    draft: VersionDraft,
    code: str,
    kind: type[AuguriumError],
    message: str,
) -> None:
    registry.register("fraud", draft, "ann")
    body = f"BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END"
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$;"
            "CREATE TRIGGER refusing BEFORE INSERT ON versions EXECUTE FUNCTION refuse()".encode()
        )
        try:
            with pytest.raises(kind, match=message):
                registry.register("fraud", draft, "ann")
        finally:
            other.execute(b"DROP TRIGGER refusing ON versions; DROP FUNCTION refuse()")

    assert (registry.revision(), registry.model("fraud").latest_version) == (1, 1)
    assert registry.register("fraud", draft, "ann").version == 2


def test_a_server_that_only_reads_is_told_so(
    registry: SqlRegistry, postgres: PostgresServer, draft: VersionDraft
) -> None:
    registry.register("fraud", draft, "ann")
    url = f"{postgres.url()}?options=-c%20default_transaction_read_only%3Don"

    frozen = registry_at(url)
    with pytest.raises(NotReady, match="read-only"):
        frozen.register("fraud", draft, "ann")

    assert frozen.model("fraud").latest_version == 1
    frozen.close()


@pytest.mark.parametrize(
    ("database", "message"),
    [("nowhere", "refuses this server"), ("crowded", "takes no more connections")],
)
def test_a_server_that_does_not_let_us_in_is_told_so(
    postgres: PostgresServer, database: str, message: str
) -> None:
    url = postgres.url(database)
    if database == "crowded":
        postgres.execute("CREATE ROLE one_too_many LOGIN CONNECTION LIMIT 0")
        url = postgres.url().replace("postgres@", "one_too_many@")

    with pytest.raises(NotReady, match=message):
        open_database(url)


def test_nothing_that_listens_is_not_ready_within_a_second(postgres: PostgresServer) -> None:
    def refused() -> float:
        started = time.monotonic()
        with pytest.raises(NotReady, match="does not answer") as error:
            open_database("postgresql://ann:secret@127.0.0.1:1/registry")
        assert "secret" not in str(error.value)
        return time.monotonic() - started

    # the machine may pause during one
    assert min(refused() for _ in range(3)) < 1.0
