"""The report of a job: partitions add up, and what it says is what was there."""

import math
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from augurium.batch.distributions import Distribution
from augurium.batch.partition import (
    Fragment,
    InputPlan,
    Partition,
    PartitionResult,
    RejectedRow,
    WrittenFile,
)
from augurium.batch.report import Report, ReportFacts, read_report, report_of
from augurium.batch.report_page import report_page
from augurium.batch.summary_counter import SummaryCounter
from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile, profile_of
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values

SIGNATURE = Signature(
    inputs=(TensorSpec("numbers", "FP32", (-1, 2), features=("amount", "age")),),
    outputs=(
        TensorSpec("score", "FP32", (-1, 1)),
        TensorSpec("class", "INT64", (-1,)),
        TensorSpec("embedding", "FP32", (-1, 64)),
    ),
)
PLAN = InputPlan(
    "parquet",
    tuple(Partition(number, (Fragment("in.parquet", "1", rows=1000),)) for number in range(3)),
    {"amount": "amount", "age": "age"},
    ("id",),
    2,
    4096,
)
FACTS = ReportFacts(
    job="ab" * 16,
    model="fraud",
    version=3,
    runtime="xgboost",
    output="/scored",
    wall_s=2.0,
    workers=2,
    batch_size=4096,
    per_core_hour=0.36,
)
HOSTILE = "<script>alert('&')</script>"
VOID = frozenset({"meta", "rect", "path", "br"})


def scores(partition: int) -> Array:
    return np.random.default_rng(partition).beta(2, 5, 1000).astype(np.float32)


def result(partition: int, answers: Array | None = None, rejects: int = 0) -> PartitionResult:
    random = np.random.default_rng(100 + partition)
    score = scores(partition) if answers is None else answers
    rows = len(score)
    counter = SummaryCounter(SIGNATURE, PLAN, profile())
    gone = np.arange(rows) < 10 * partition
    columns = {"amount": random.normal(size=rows), "age": random.normal(size=rows)}
    counter.count_inputs(
        pa.RecordBatch.from_pydict(
            {name: pa.array(column, mask=gone) for name, column in columns.items()}
        )
    )
    embedding = pa.array(np.zeros(64 * rows, np.float32))
    counter.count_outputs(
        pa.RecordBatch.from_pydict(
            {
                "score": pa.array(score),
                "class": pa.array((score > 0.5).astype(np.int64)),
                "embedding": pa.FixedSizeListArray.from_arrays(embedding, 64),
            }
        )
    )
    for row in range(rejects):
        counter.count_rejected(RejectedRow(HOSTILE, row, "age", "wrong_type", "'x' is no number"))
    name = f"part-{partition:05d}.parquet"
    files = (
        WrittenFile(f"s/{name}", name, 700, "", rows),
        *([WrittenFile("s/r", "_rejected/r", 50, "", rejects, rejected=True)] if rejects else []),
    )
    return PartitionResult(
        number=partition,
        files=files,
        read_rows=rows + rejects + 5,
        written_rows=rows,
        filtered_rows=5,
        rejected={"wrong_type": rejects} if rejects else {},
        stage_s={"read": 0.1, "predict": 0.5},
        summary=counter.summary(core_s=1.5),
    )


def profile() -> Profile:
    random = np.random.default_rng(9)
    features = {name: Values(random.normal(size=5000)) for name in ("amount", "age")}
    answers = {"score": Values(random.beta(2, 5, 5000))}
    return profile_of(counted(features), counted(answers), rows=5000, output_rows=5000)


def counted(columns: dict[str, Values]) -> tuple[FeatureProfile, ...]:
    finder = ReferenceBins([Feature(name) for name in columns])
    finder.observe(columns)
    profiler = Profiler(finder.bins())
    profiler.update(columns)
    return profiler.profiles()


def a_report(*results: PartitionResult, **facts: Any) -> Report:
    told = msgspec.structs.replace(FACTS, **facts)
    return report_of(told, PLAN, results or tuple(result(n) for n in range(3)), profile())


def output(report: Report, name: str) -> Distribution:
    (found,) = (one for one in report.outputs if one.name == name)
    return found


def test_partitions_add_up() -> None:
    report = a_report(result(0), result(1, rejects=4), result(2, rejects=3))
    rows = report.rows
    assert (rows.read, rows.filtered, rows.rejected, rows.written) == (3022, 15, 7, 3000)
    assert rows.per_s == 1511
    assert report.partitions == 3
    assert (report.files.output_files, report.files.output_bytes) == (3, 2200)
    assert (report.files.rejected_files, report.files.input_files) == (2, 2)
    stages = {stage.name: stage.seconds for stage in report.stages}
    assert stages["predict"] == pytest.approx(1.5)
    assert stages["store"] == 0


def test_the_answers_are_distributed_as_they_were() -> None:
    report = a_report()
    found = output(report, "score")
    everything = np.concatenate([scores(n) for n in range(3)]).astype(np.float64)
    assert found.mean == pytest.approx(everything.mean())
    assert found.deviation == pytest.approx(everything.std(ddof=1))
    assert (found.min, found.max) == (everything.min(), everything.max())
    for share, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(everything, float(share)), rel=0.03)
    assert sum(found.counts) == pytest.approx(3000, abs=2)
    expected = np.histogram(everything, found.bounds)[0]
    assert np.abs(np.array(found.counts) - expected).max() < 30
    assert sum(found.training) == pytest.approx(1, abs=0.05)


def test_whole_numbers_of_few_values_are_classes() -> None:
    found = output(a_report(), "class")
    everything = np.concatenate([scores(n) for n in range(3)])
    fraud = int(np.count_nonzero(everything > 0.5))
    assert [(one.label, one.rows) for one in found.classes] == [("0", 3000 - fraud), ("1", fraud)]


def test_answers_with_a_long_tail_are_drawn_by_their_logarithms() -> None:
    tail = np.random.default_rng(0).lognormal(0, 3, 1000).astype(np.float32)
    found = output(a_report(result(0, tail)), "score")
    assert found.logarithmic
    ratios = np.diff(np.log(found.bounds))
    assert ratios == pytest.approx(ratios[0])


def test_one_answer_to_everything_has_one_cell() -> None:
    found = output(a_report(result(0, np.full(100, 0.25, np.float32))), "score")
    assert len(found.counts) == 1
    assert found.counts[0] == pytest.approx(100)
    assert found.quantiles["0.5"] == 0.25


def test_answers_that_are_no_numbers_have_no_histogram() -> None:
    found = output(a_report(result(0, np.full(10, math.nan, np.float32))), "score")
    assert (found.rows, found.nan, found.counts, found.mean) == (10, 10, (), None)


def test_nulls_are_counted_and_the_most_come_first() -> None:
    report = a_report()
    assert [(one.feature, one.rows) for one in report.nulls] == [("amount", 30), ("age", 30)]
    assert report.nulls[0].share == pytest.approx(0.01)


def test_rejected_rows_are_counted_by_reason_with_examples() -> None:
    report = a_report(result(0), result(1, rejects=30), result(2, rejects=2))
    (found,) = report.rejects
    assert (found.kind, found.column, found.rows) == ("wrong_type", "age", 32)
    assert [row.row for row in report.rejected_examples] == [0, 1, 2, 3, 4]


def test_rows_that_were_not_told_one_by_one_are_counted_by_their_kind() -> None:
    told = msgspec.structs.replace(result(1, rejects=2), rejected={"wrong_type": 2, "too_long": 3})
    found = {(one.kind, one.column): one.rows for one in a_report(told).rejects}
    assert found == {("too_long", ""): 3, ("wrong_type", "age"): 2}


def test_what_it_cost_is_the_seconds_of_cores_at_their_price() -> None:
    cost = a_report().cost
    assert cost.core_hours == pytest.approx(4.5 / 3600)
    assert cost.total == pytest.approx(0.00045)
    assert cost.per_thousand == pytest.approx(0.00015)
    assert cost.per_million == pytest.approx(0.15)
    assert a_report(per_core_hour=0.0).cost.total is None


def test_a_job_that_found_no_row_has_a_report() -> None:
    report = report_of(FACTS, PLAN, (), profile())
    assert (report.rows.read, report.cost.per_million, report.outputs) == (0, None, ())
    assert report.drift.note
    assert "None." in report_page(report)


def test_a_report_comes_back_from_json() -> None:
    report = a_report(result(1, rejects=2))
    content = msgspec.json.decode(msgspec.json.encode(report))
    assert read_report(content) == report


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_report({"job": "x"})


def test_the_page_is_drawn_where_there_is_no_pyarrow() -> None:
    said = "import sys, augurium.batch.report_page; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0


class _Tags(HTMLParser):
    """What a page is made of; every element that was opened must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.images: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        given = dict(attrs)
        assert not {"src", "href", "onload"} & set(given)
        if tag == "svg":
            self.images.append(given["aria-label"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    return tags


def test_the_page_is_whole_and_fetches_and_runs_nothing() -> None:
    tags = read(report_page(a_report(result(0), result(1, rejects=3))))
    assert "script" not in tags.names
    assert HOSTILE in tags.texts
    assert all(tags.images)


def test_the_page_has_a_plot_of_everything_it_tells() -> None:
    images = " ".join(read(report_page(a_report())).images)
    for said in (
        *("3,000 answered", "Histogram of score", "Answers of class by value"),
        *("Shares of amount", "Shares of score", "Busy seconds by stage", "features are missing"),
    ):
        assert said in images


def test_the_page_tells_a_reader_without_a_profile_how_to_get_drift() -> None:
    page = report_page(report_of(FACTS, PLAN, [result(0)], None))
    assert "register it with --data TABLE" in page
    assert "answers to the training data" not in page


def test_the_page_names_outputs_that_are_not_drawn() -> None:
    assert "Of too many values to be counted one by one: embedding." in report_page(a_report())
