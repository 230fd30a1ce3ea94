from datetime import UTC, datetime, timedelta

from augurium.cli.traffic_series import COLUMNS, WIDTH, rows
from augurium.client.series_calls import ErrorRate, ModelSeries, SeriesPoint, VariantTotals

START = datetime(2026, 1, 1, tzinfo=UTC)


def totals(variant: str, requests: int, errors: int) -> dict[str, object]:
    rate = ErrorRate(errors / requests, 0.01, 0.25) if requests else None
    return {
        "version": 2,
        "variant": variant,
        "requests": requests,
        "mistakes": 0,
        "errors": errors,
        "error_rate": rate,
        "outcomes": {"ok": requests - errors, "internal": errors},
        "slo_breaches": 3,
        "degraded": 0,
        "p50_ms": 4.25,
        "p90_ms": 5.0,
        "p99_ms": 6.5,
        "mean_ms": 4.5,
        "score_count": requests,
        "score_sum": 0.5 * requests,
        "score_squares": 0.25 * requests,
        "score_mean": 0.5,
    }


def series(*minutes: tuple[int, str, int, int], steps: int = 4) -> ModelSeries:
    points = tuple(
        SeriesPoint(at=START + timedelta(minutes=minute), **totals(variant, *counts))  # type: ignore[arg-type]
        for minute, variant, *counts in minutes
    )
    names = sorted({point.variant for point in points})
    sums = tuple(VariantTotals(**totals(name, 8, 1)) for name in names)  # type: ignore[arg-type]
    end = START + timedelta(minutes=steps - 1, seconds=30)
    return ModelSeries(model="m", step_s=60, start=START, end=end, variants=sums, points=points)


def test_a_variant_has_a_row_with_its_sums_and_how_it_went_on() -> None:
    found = list(rows(series((0, "", 1, 0), (0, "v2", 4, 0), (2, "v2", 8, 1))))

    named = [dict(zip(COLUMNS[:10], row, strict=False)) for row in found]
    assert [row["variant"] for row in named] == ["(none)", "v2"]
    assert (named[1]["requests"], named[1]["errors"]) == (8, "12.50%")
    assert named[1]["95 %"] == "1.00% to 25.00%"
    assert list(found[1][10:]) == ["▄ █ ", "  █ ", "█ █ "]


def test_steps_in_which_nothing_was_asked_are_gaps() -> None:
    (row,) = rows(series((1, "v2", 4, 0)))

    assert row[10] == " █  "


def test_a_long_time_fits_into_its_column() -> None:
    (row,) = rows(series((90, "v2", 4, 0), steps=100))

    assert len(str(row[10])) == WIDTH
