"""The time series of variants, once per adapter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from augurium.registry.database import open_database, sqlite_url
from augurium.registry.memory_variant_series import MemoryVariantSeries
from augurium.registry.sql_variant_series import MOST_ROWS, SqlVariantSeries
from augurium.registry.variant_series import DAY_S, HOUR_S, MINUTE_S, SeriesRow, VariantSeries

ROW = SeriesRow(
    model="churn",
    version=1,
    variant="v1",
    step_s=MINUTE_S,
    at=600,
    source="a",
    outcomes={"ok": 7, "model_failed": 1},
    slo_breaches=2,
    degraded=1,
    latency=b"\x93\x01\x00\xff",
    latency_s=0.1 + 0.2,
    score_count=7,
    score_sum=-2.5,
    score_squares=1e-300,
)


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VariantSeries]:
    if request.param == "memory":
        yield MemoryVariantSeries()
        return
    url = (
        sqlite_url(tmp_path / "registry.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = open_database(url)
    yield SqlVariantSeries(engine)
    engine.dispose()


def row(**changes: Any) -> SeriesRow:
    return msgspec.structs.replace(ROW, **changes)


def all_of(store: VariantSeries, step_s: int = MINUTE_S, model: str = "churn") -> list[SeriesRow]:
    return store.read(model, step_s, 0, 2**40)


def test_a_row_comes_back_as_it_was(store: VariantSeries) -> None:
    large = row(variant="", outcomes={}, slo_breaches=2**40, latency=b"", score_sum=1e308, at=2**40)
    store.write([ROW, large])

    assert store.read("churn", MINUTE_S, 0, 2**41) == [ROW, large]


def test_a_row_that_has_grown_takes_the_place_of_what_it_was(store: VariantSeries) -> None:
    store.write([ROW])
    grown = row(outcomes={"ok": 9}, slo_breaches=3)
    store.write([grown])
    store.write([grown])

    assert all_of(store) == [grown]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "iris"},
        {"version": 2},
        {"variant": "V1"},
        {"variant": ""},
        {"step_s": HOUR_S},
        {"at": 660},
        {"source": "b"},
    ],
    ids=str,
)
def test_another_variant_step_or_source_is_another_row(
    store: VariantSeries, other: dict[str, Any]
) -> None:
    store.write([ROW])
    store.write([row(**other)])

    found = all_of(store) + all_of(store, HOUR_S) + all_of(store, model="iris")
    assert sorted(map(str, found)) == sorted(map(str, [ROW, row(**other)]))


def test_rows_come_by_time_version_variant_and_source(store: VariantSeries) -> None:
    ordered = [
        row(at=at, version=version, variant=variant, source=source)
        for at in (540, 600)
        for version in (2, 10)
        for variant in ("B", "a")
        for source in ("x", "y")
    ]
    store.write(ordered[::-1])

    assert all_of(store) == ordered


def test_a_range_has_its_start_and_not_its_end(store: VariantSeries) -> None:
    store.write([row(at=at) for at in (540, 600, 660, 720)])

    assert [found.at for found in store.read("churn", MINUTE_S, 600, 720)] == [600, 660]


def test_what_is_older_is_dropped_of_one_step_only(store: VariantSeries) -> None:
    store.write([row(step_s=step_s, at=at) for step_s in (MINUTE_S, HOUR_S) for at in (0, 3600)])

    assert store.drop(MINUTE_S, 3600) == 1
    assert store.drop(DAY_S, 2**40) == 0
    assert [found.at for found in all_of(store)] == [3600]
    assert [found.at for found in all_of(store, HOUR_S)] == [0, 3600]


def test_many_rows_are_written_at_once(store: VariantSeries) -> None:
    rows = [row(at=60 * number) for number in range(MOST_ROWS + 10)]
    store.write(rows)
    store.write(rows[-20:])
    store.write([])

    assert len(all_of(store)) == len(rows)
