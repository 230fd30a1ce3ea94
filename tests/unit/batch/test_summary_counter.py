"""What a worker remembers of a partition: the same whatever the blocks, and it adds up."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.batch.partition import Fragment, InputPlan, Partition, RejectedRow
from augurium.batch.partition_summary import (
    MOST_OF_A_KIND,
    MOST_TEXTS,
    PartitionSummary,
    SummarySum,
    read_summary,
)
from augurium.batch.summary_counter import SummaryCounter, sample_stride
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import Profile, profile_of
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values

SIGNATURE = Signature(
    inputs=(
        TensorSpec("numbers", "FP32", (-1, 2), features=("amount", "age")),
        TensorSpec("city", "BYTES", (-1, 1)),
    ),
    outputs=(
        TensorSpec("score", "FP32", (-1, 1)),
        TensorSpec("label", "BYTES", (-1,)),
        TensorSpec("odds", "FP32", (-1, 3)),
        TensorSpec("class", "INT64", (-1,)),
    ),
)
SOURCES = {"amount": "amt", "age": "age", "city": "city"}


def a_plan(rows: int | None = 100, total_bytes: int = 1000) -> InputPlan:
    partition = Partition(0, (Fragment("a.parquet", "1", rows=rows),))
    return InputPlan("parquet", (partition,), SOURCES, (), 1, total_bytes)


def a_profile(rows: int = 500) -> Profile:
    random = np.random.default_rng(4)
    cities = np.empty(rows, np.object_)
    cities[:] = random.choice(["Rome", "Oslo"], rows).tolist()
    features = {
        "amount": Values(random.lognormal(size=rows)),
        "age": Values(random.normal(40, 9, rows)),
        "city": Values(cities),
    }
    return profile_of(
        _counted(features),
        _counted({"score": Values(random.uniform(size=rows))}),
        rows=rows,
        output_rows=rows,
    )


def _counted(columns: dict[str, Values]) -> Any:
    finder = ReferenceBins(
        [Feature(name, is_text=each.content.dtype == object) for name, each in columns.items()]
    )
    finder.observe(columns)
    profiler = Profiler(finder.bins())
    profiler.update(columns)
    return profiler.profiles()


def inputs(rows: int, seed: int = 0) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    gone = random.uniform(size=rows) < 0.1
    return pa.RecordBatch.from_pydict(
        {
            "amt": pa.array(random.lognormal(size=rows), pa.float32(), mask=gone),
            "age": pa.array(random.normal(40, 9, rows), pa.float64()),
            "city": pa.array(random.choice(["Rome", "Oslo", "Lima"], rows)),
            "kept": pa.array(range(rows)),
        }
    )


def outputs(rows: int, seed: int = 0) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    odds = random.dirichlet([1, 2, 3], rows).astype(np.float32)
    return pa.RecordBatch.from_pydict(
        {
            "score": pa.array(random.uniform(size=rows).astype(np.float32)),
            "label": pa.array(random.choice(["yes", "no"], rows)),
            "odds": pa.FixedSizeListArray.from_arrays(pa.array(odds.ravel()), 3),
            "class": pa.array(random.integers(0, 3, rows)),
            "model_version": pa.array([7] * rows),
        }
    )


def summary_of(
    columns: pa.RecordBatch, answers: pa.RecordBatch, cuts: Sequence[int], plan: InputPlan
) -> PartitionSummary:
    counter = SummaryCounter(SIGNATURE, plan, a_profile())
    ends = [0, *sorted(cuts), columns.num_rows]
    for start, stop in itertools.pairwise(ends):
        counter.count_inputs(columns.slice(start, stop - start))
        counter.count_outputs(answers.slice(start, stop - start))
    # as it goes through the database
    return read_summary(msgspec.json.decode(msgspec.json.encode(counter.summary(1.5))))


def without_moments(summary: PartitionSummary) -> Any:
    """Means depend on blocks in their last digits."""
    built = msgspec.to_builtins(summary)
    for output in built["outputs"]:
        output.pop("moments", None)
    for part in ("features", "answers"):
        built[part] = {name: counts[:-1] for name, counts in built[part].items()}
    return built


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([100, 40_000, 400_000]))
def test_the_summary_does_not_depend_on_the_blocks(cuts: list[int], rows: int) -> None:
    columns, answers = inputs(3000), outputs(3000)
    whole = summary_of(columns, answers, [], a_plan(rows))
    parts = summary_of(columns, answers, cuts, a_plan(rows))
    assert without_moments(parts) == without_moments(whole)
    for one, other in zip(parts.outputs, whole.outputs, strict=True):
        assert one.moments.mean == pytest.approx(other.moments.mean)
        assert one.moments.m2 == pytest.approx(other.moments.m2)


def test_answers_are_counted_one_by_one_and_nulls_of_every_feature() -> None:
    columns, answers = inputs(2000), outputs(2000)
    found = summary_of(columns, answers, [700], a_plan())
    outs = {output.name: output for output in found.outputs}
    assert list(outs) == [
        *("score", "label", "odds[0]", "odds[1]", "odds[2]", "largest of odds", "class"),
    ]
    score = answers.column("score").to_numpy()
    assert outs["score"].min == score.min()
    assert outs["score"].moments.mean == pytest.approx(score.mean(), rel=1e-6)
    assert outs["score"].numbers.total == 2000
    assert outs["label"].texts == dict(
        zip(*np.unique(answers.column("label").to_pylist(), return_counts=True), strict=True)
    )
    odds = np.array(answers.column("odds").to_pylist())
    expected = np.bincount(odds.argmax(axis=1))
    assert outs["largest of odds"].texts == {str(n): c for n, c in enumerate(expected.tolist())}
    assert outs["class"].whole
    assert found.nulls == {"amount": columns.column("amt").null_count}
    assert (found.rows, found.core_s) == (2000, 1.5)


def test_features_of_some_rows_are_counted_in_the_bins_of_the_training_profile() -> None:
    columns, answers = inputs(3000), outputs(3000)
    # of 70 000 rows in all every seventh is looked at
    found = summary_of(columns, answers, [11, 1300], a_plan(70_000))
    looked_at = len(range(0, 3000, 7))
    assert {name: counts.n for name, counts in found.features.items()} == {
        "amount": looked_at,
        "age": looked_at,
        "city": looked_at,
    }
    nulls = sum(1 for each in columns.column("amt").to_pylist()[::7] if each is None)
    # in a column of floats they come as NaN
    assert found.features["amount"].n_nan == nulls
    lima = columns.column("city").to_pylist()[::7].count("Lima")
    assert found.features["city"].counts[-1] == lima
    assert found.answers["score"].n == looked_at


def test_summaries_of_partitions_add_up() -> None:
    profile = a_profile()
    columns, answers = inputs(2000), outputs(2000)
    whole = SummarySum.of_profile(profile)
    whole.add(summary_of(columns, answers, [], a_plan()))
    parts = SummarySum.of_profile(profile)
    for start in (0, 1000):
        part = columns.slice(start, 1000), answers.slice(start, 1000)
        parts.add(summary_of(*part, [], a_plan()))
    assert parts.rows == 2000
    assert parts.nulls == whole.nulls
    for name, output in whole.outputs.items():
        assert parts.outputs[name].numbers == output.numbers
        assert parts.outputs[name].texts == output.texts
    for name, feature in whole.features.items():
        assert parts.features[name].counts == feature.counts
        assert parts.features[name].bins == feature.bins


def test_a_few_rejected_rows_of_every_kind_are_kept_as_examples() -> None:
    counter = SummaryCounter(SIGNATURE, a_plan())
    for row in range(50):
        counter.count_rejected(RejectedRow("a.csv", row, "age", "wrong_type", "no number"))
    counter.count_rejected(RejectedRow("a.csv", 99, "", "malformed", "too few fields"))
    found = read_summary(counter.summary(0.0))
    assert {(one.kind, one.column): one.rows for one in found.rejected} == {
        ("wrong_type", "age"): 50,
        ("malformed", ""): 1,
    }
    assert [row.row for row in found.examples] == [*range(MOST_OF_A_KIND), 99]


def test_texts_are_bounded_and_the_rest_is_counted() -> None:
    counter = SummaryCounter(SIGNATURE, a_plan())
    texts = [f"text {number}" for number in range(MOST_TEXTS + 500)] + ["often"] * 3
    counter.count_outputs(pa.RecordBatch.from_pydict({"label": pa.array(texts)}))
    (label,) = (one for one in read_summary(counter.summary(0)).outputs if one.name == "label")
    assert label.texts["often"] == 3
    assert len(label.texts) == MOST_TEXTS
    assert label.other_texts + sum(label.texts.values()) == len(texts)


def test_outputs_of_many_numbers_are_named_and_not_counted() -> None:
    wide = Signature(SIGNATURE.inputs, (TensorSpec("embedding", "FP32", (-1, 64)),))
    counter = SummaryCounter(wide, a_plan())
    numbers = pa.array(np.arange(640, dtype=np.float32))
    column = pa.FixedSizeListArray.from_arrays(numbers, 64)
    counter.count_outputs(pa.RecordBatch.from_pydict({"embedding": column}))
    found = read_summary(counter.summary(0))
    assert found.left_out == ("embedding",)
    assert found.outputs[0].name == "largest of embedding"


def test_outputs_of_no_fixed_size_and_lists_of_texts_are_named_and_not_counted() -> None:
    specs = (TensorSpec("boxes", "FP32", (-1, -1)), TensorSpec("tags", "BYTES", (-1, 2)))
    counter = SummaryCounter(Signature(SIGNATURE.inputs, specs), a_plan(), a_profile())
    for rows in ([[1.0], [2.0, 3.0]], [[4.0, 5.0, 6.0]]):
        tags = pa.array([["a", "b"]] * len(rows), pa.list_(pa.string(), 2))
        boxes = pa.array(rows, pa.list_(pa.float32()))
        counter.count_outputs(pa.RecordBatch.from_pydict({"boxes": boxes, "tags": tags}))
    found = read_summary(counter.summary(0))
    assert (found.left_out, found.outputs) == (("boxes", "tags"), ())


def test_texts_of_a_list_are_held_against_those_of_the_training_data() -> None:
    spec = TensorSpec("tags", "BYTES", (-1, 2))
    words = np.empty(4, np.object_)
    words[:] = ["a", "b", "a", "b"]
    training = profile_of((), _counted({"tags[1]": Values(words)}))
    counter = SummaryCounter(Signature(SIGNATURE.inputs, (spec,)), a_plan(), training)
    tags = pa.array([["a", "b"], ["a", "c"]], pa.list_(pa.string(), 2))
    counter.count_outputs(pa.RecordBatch.from_pydict({"tags": tags}))
    (counts,) = read_summary(counter.summary(0)).answers.values()
    assert (counts.n, counts.counts[-1]) == (2, 1)


def test_the_largest_of_several_numbers_has_its_label() -> None:
    spec = TensorSpec("odds", "FP32", (-1, 2), labels=("no", "yes"))
    counter = SummaryCounter(Signature(SIGNATURE.inputs, (spec,)), a_plan())
    odds = pa.array([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7]], pa.list_(pa.float32(), 2))
    counter.count_outputs(pa.RecordBatch.from_pydict({"odds": odds}))
    found = {one.name: one for one in read_summary(counter.summary(0)).outputs}
    assert found["largest of odds"].texts == {"no": 1, "yes": 2}


def test_answers_that_are_no_numbers_are_apart() -> None:
    counter = SummaryCounter(SIGNATURE, a_plan())
    numbers = pa.array([0.5, None, math.nan, math.inf], pa.float32())
    counter.count_outputs(pa.RecordBatch.from_pydict({"score": numbers}))
    score = read_summary(counter.summary(0)).outputs[0]
    assert (score.n, score.nulls, score.n_nan, score.n_inf) == (4, 1, 1, 1)


def test_numbers_that_are_none_count_as_nulls_do() -> None:
    counter = SummaryCounter(SIGNATURE, a_plan())
    columns = {
        "amt": pa.array([1.0, None, math.nan, 2.0], pa.float32()),
        "age": pa.array([1, None]),
    }
    counter.count_inputs(pa.RecordBatch.from_pydict({"amt": columns["amt"]}))
    counter.count_inputs(pa.RecordBatch.from_pydict({"age": columns["age"]}))
    nulls = read_summary(counter.summary(0)).nulls
    # of both blocks, the one that lacks the column counts whole
    assert nulls == {"amount": 2 + 2, "age": 1 + 4, "city": 6}


def test_a_missing_column_counts_as_null_in_every_row() -> None:
    counter = SummaryCounter(SIGNATURE, a_plan(), a_profile())
    counter.count_inputs(inputs(10).select(["amt", "age"]))
    found = read_summary(counter.summary(0))
    assert found.nulls["city"] == 10
    assert found.features["city"].n_missing == 10


def test_all_of_a_small_input_is_looked_at_and_little_of_a_large_one() -> None:
    assert sample_stride(a_plan(1000)) == 1
    assert sample_stride(a_plan(500_000)) == 31
    assert sample_stride(a_plan(2_000_000)) == 101
    assert sample_stride(a_plan(10_000_000)) == 211
    # the rows of texts are known when they were read
    assert sample_stride(a_plan(None, total_bytes=3_000_000_000)) == 211
    assert sample_stride(a_plan(None, total_bytes=10_000)) == 1
