"""How the report on shadows is shown to people."""

import sys
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from augurium.cli.shadow_report import shadow_page
from augurium.client.shadow_results import (
    Comparison,
    Latency,
    Shadow,
    ShadowExample,
    ShadowOutput,
    ShadowPair,
    ShadowReport,
    Share,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shown(report: ShadowReport) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(shadow_page(report))
    return str(console.file.getvalue()) if isinstance(console.file, StringIO) else ""


def example(difference: float) -> ShadowExample:
    return ShadowExample(
        difference=difference,
        at=1.0,
        output="y",
        input='{"x":100.0}',
        baseline='{"y":200.0}',
        shadow='{"y":210.0}',
        request_id="r-1",
    )


PAIR = ShadowPair(
    version=3,
    baseline=2,
    copied=42,
    answered=40,
    failed={"model_failed": 2},
    dropped={"in_flight": 7, "engine_busy": 5},
    rows=200,
    agreeing=198,
    agreement=Share(0.99, 0.964, 0.997),
    outputs=(
        ShadowOutput(name="y", rows=200, differing=2, mean_difference=0.1, largest_difference=10.0),
        ShadowOutput(
            name="label",
            rows=200,
            differing=2,
            unlike={"shape": 1},
            labels={"cat": {"cat": 100, "dog": 2}},
            not_finite=4,
            kendall_tau=0.5,
            overlap=0.75,
        ),
    ),
    baseline_latency=Latency(1.5, 9.0),
    shadow_latency=Latency(3.0, 30.0),
    examples=(example(10.0), example(sys.float_info.max)),
    since=NOW,
    until=NOW,
)


def test_a_page_has_all_that_was_found() -> None:
    shadow = Shadow(version=3, percent=10, baseline="default")
    page = shown(ShadowReport(model="price", shadows=(shadow,), pairs=(PAIR,)))

    for text in (
        "version 3 gets 10 % of the requests, beside the default version",
        "version 3 beside version 2",
        "99 % of 200 rows (96.4 % to 99.7 %), 2 differ",
        "40 answered by both, 0 failed in both",
        "model_failed 2",
        "engine_busy 5, in_flight 7",
        "p50 3 ms, p99 30 ms",
        "unlike: shape 1; 4 not finite; Kendall's tau 0.5, overlap 0.75; cat -> dog 2",
        "within 1e-06 + 0.0001 of the number",
    ):
        assert text in page, page
    rows = [line.split() for line in page.splitlines() if "r-1" in line]
    assert [row[0] for row in rows] == ["10", "unlike"]
    assert rows[0][1:] == ["y", '{"x":100.0}', '{"y":200.0}', '{"y":210.0}', "r-1"]


def test_a_ranking_says_what_is_compared() -> None:
    ranked = Comparison(ranking=True, top_k=5)
    pair = ShadowPair(
        version=3, baseline=2, compare=ranked, copied=0, answered=0, since=NOW, until=NOW
    )
    page = shown(ShadowReport(model="price", pairs=(pair,)))
    assert "the highest 5 items are the same" in page
    assert "no shadow now" in page


def test_without_anything_a_page_says_so() -> None:
    page = shown(ShadowReport(model="price", shadows=(Shadow(version=3, percent=100),)))
    assert "version 3 gets 100 % of the requests, beside whatever version answers" in page
    assert "nothing compared yet" in page
