"""Files on their way out of the store: what may be registered with them meanwhile, and after."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import URL, Engine, insert

from augurium.core.clock import SystemClock
from augurium.core.errors import Conflict, NotReady
from augurium.registry.database import open_database, writing
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.sql_registry import SqlRegistry
from augurium.registry.tables import condemned

FILES = [Artifact(letter * 64, 1) for letter in "cde"]
DIGESTS = [file.digest for file in FILES]


@pytest.fixture
def engine(url: URL) -> Engine:
    return open_database(url)


@pytest.fixture
def registry(engine: Engine) -> Iterator[SqlRegistry]:
    opened = SqlRegistry(engine, SystemClock())
    yield opened
    opened.close()


def register(registry: SqlRegistry, draft: VersionDraft, file: Artifact) -> int:
    return registry.register("fraud", replace(draft, source=file, servable=file), "ann").version


def test_a_file_whose_removal_failed_is_refused_and_the_others_may_be_registered_with(
    registry: SqlRegistry, draft: VersionDraft
) -> None:
    def remove(digest: str) -> None:
        if digest == DIGESTS[1]:
            raise NotReady("the store does not answer")

    with pytest.raises(NotReady, match="does not answer"):
        registry.discard(DIGESTS, remove, "gc")

    # the store may carry out late what it did not answer
    with pytest.raises(Conflict, match=rf"{DIGESTS[1]} is just being removed .* in a moment"):
        register(registry, draft, FILES[1])
    assert [register(registry, draft, file) for file in (FILES[0], FILES[2])] == [1, 2]


def test_nothing_is_registered_with_a_file_while_it_is_removed(
    registry: SqlRegistry, draft: VersionDraft
) -> None:
    refused: list[str] = []

    def remove(digest: str) -> None:
        with pytest.raises(Conflict, match="just being removed"):
            register(registry, draft, FILES[0])
        refused.append(digest)

    assert registry.discard(DIGESTS[:1], remove, "gc") == refused == DIGESTS[:1]
    assert register(registry, draft, FILES[0]) == 1


def test_two_collections_never_remove_the_same_file(registry: SqlRegistry) -> None:
    def remove(digest: str) -> None:
        assert registry.discard([digest], lambda one: pytest.fail(one), "other") == []

    assert registry.discard(DIGESTS, remove, "gc") == DIGESTS


@pytest.mark.parametrize(("minutes", "counts"), [(10, True), (20, False)])
def test_what_a_collection_that_died_has_condemned_counts_for_a_quarter_of_an_hour(
    registry: SqlRegistry, engine: Engine, draft: VersionDraft, minutes: int, counts: bool
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    with writing(engine) as connection:
        connection.execute(insert(condemned).values(digest=DIGESTS[0], at=at))

    if counts:
        with pytest.raises(Conflict, match="just being removed"):
            register(registry, draft, FILES[0])
    else:
        assert register(registry, draft, FILES[0]) == 1
    assert bool(registry.discard([DIGESTS[0]], lambda digest: None, "gc")) is False
