"""Control's side of the prediction log, over real files: bounded, and never fatal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from augurium.control.prediction_records import PredictionFilter, PredictionRecords
from augurium.core.clock import ManualClock
from augurium.core.home import Home
from augurium.core.rollout_settings import PredictionLogSettings
from augurium.core.settings import StorageSettings
from augurium.records.location import open_records
from augurium.registry.memory_registry import MemoryRegistry
from augurium.serving.link import Predictions
from augurium.serving.logged_prediction import encode_predictions

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def records_in(home: Path, clock: ManualClock, **settings: float) -> PredictionRecords:
    partitions = open_records(StorageSettings(), Home(home), clock, {})
    return PredictionRecords(partitions, PredictionLogSettings(**settings), clock)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def records(tmp_path: Path, clock: ManualClock) -> AsyncIterator[PredictionRecords]:
    found = records_in(tmp_path / "home", clock, flush_interval_s=0.1)
    yield found
    await found.stop()


def block(
    *ids: str, at: datetime = START, model: str = "m", text: str = "", dropped: int = 0
) -> Predictions:
    rows = [
        (at.timestamp(), id_, model, 1, "a", "u", 0.5, 0.1, "ok", True, f'{{"x":"{text}"}}', None)
        for id_ in ids
    ]
    return Predictions(encode_predictions(rows), len(rows), dropped)


async def ids(records: PredictionRecords, model: str = "m") -> list[str]:
    wanted = PredictionFilter(START - timedelta(days=400), START + timedelta(days=400), 1000)
    return [row.prediction_id for row in await records.find(model, wanted)]


def size_of(home: Path) -> int:
    return sum(file.stat().st_size for file in (home / "records").rglob("*") if file.is_file())


async def test_what_was_taken_is_found_at_once_the_newest_first(records: PredictionRecords) -> None:
    records.take(block("a"))
    records.take(block("b", at=START + SECOND))

    assert await ids(records) == ["b", "a"]
    assert records.counts.records == 2
    assert records.counts.written_bytes > 0


async def test_blocks_are_written_after_the_interval(
    records: PredictionRecords, tmp_path: Path, clock: ManualClock
) -> None:
    records.start()
    records.take(block("a"))
    clock.advance(1)

    async with asyncio.timeout(20):
        while not list((tmp_path / "home" / "records").rglob("*.parquet")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_what_is_there_at_the_end_is_written(tmp_path: Path, clock: ManualClock) -> None:
    first = records_in(tmp_path / "home", clock)
    first.start()
    first.take(block("a"))
    await first.stop()

    second = records_in(tmp_path / "home", clock)
    assert await ids(second) == ["a"]
    await second.stop()


async def test_the_disk_has_no_more_than_it_may(tmp_path: Path, clock: ManualClock) -> None:
    bound = 40_000
    records = records_in(tmp_path / "home", clock, max_bytes=bound)
    for hour in range(30):
        at = START + timedelta(hours=hour)
        records.take(block(*(f"{hour}-{n}" for n in range(100)), at=at, text=f"{hour}" * 50))
        await records.flush()
        await records.upkeep()
        assert size_of(tmp_path / "home") <= bound

    kept = await ids(records)
    assert kept[0].startswith("29-")
    assert not any(id_.startswith("0-") for id_ in kept)
    await records.stop()


async def test_a_model_that_was_purged_leaves_nothing(
    records: PredictionRecords, tmp_path: Path, clock: ManualClock
) -> None:
    records.take(block("a"))
    records.take(block("b", model="other"))
    await records.flush()

    records.forget_purged(MemoryRegistry(clock), {"m"})

    assert await ids(records) == []
    assert await ids(records, "other") == ["b"]


async def test_a_block_that_cannot_be_read_is_counted(records: PredictionRecords) -> None:
    records.take(Predictions(b"nonsense", 7))
    records.take(block("a", dropped=3))

    assert await ids(records) == ["a"]
    assert records.counts.dropped == {"engine": 3, "control": 7, "store": 0}


async def test_a_store_that_cannot_be_written_is_counted_and_tried_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    home = tmp_path / "home"
    records = records_in(home, clock)
    # a file where the folder should be: nobody can write below it, not even root
    (home / "records").write_bytes(b"")
    records.take(block("a"))
    await records.flush()
    assert records.counts.dropped["store"] == 1

    (home / "records").unlink()
    records.take(block("b"))
    assert await ids(records) == ["b"]
    await records.stop()


async def test_more_than_may_wait_is_dropped(records: PredictionRecords) -> None:
    for _ in range(70):
        records.take(Predictions(bytes(1024 * 1024), 10))

    assert records.counts.dropped["control"] == 60


async def test_filters_are_values_never_text(records: PredictionRecords) -> None:
    records.take(block("a"))
    nasty = "a' OR '1'='1"

    wanted = PredictionFilter(START - SECOND, START + SECOND, 10, variant=nasty)
    assert await records.find("m", wanted) == []
    wanted = PredictionFilter(
        START - SECOND, START + SECOND, 10, variant="a", outcome="ok", version=1
    )
    assert len(await records.find("m", wanted)) == 1
