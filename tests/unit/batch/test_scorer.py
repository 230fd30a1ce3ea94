"""Rows of Arrow columns to the tensors of a model, and its answers back."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pyarrow as pa
import pytest

from augurium.batch.model_files import ModelFiles
from augurium.batch.partition import RejectedRow, RowBlock
from augurium.batch.row_batches import RowBatch, cut
from augurium.batch.row_scoring import RowScoring
from augurium.batch.scorer import Scorer
from augurium.batch.stage_times import StageTimes
from augurium.core.errors import ModelFailed
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from tests.support.models import graph, picky_model

FLOAT, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.STRING
PICKY = Signature((TensorSpec("place", "INT64", (-1, 1)),), (TensorSpec("found", "FP32", (-1, 1)),))


def same_model(name: str, kind: int, width: int) -> bytes:
    """Gives its input back."""
    return graph(
        [oh.make_node("Identity", [name], ["same"])],
        [oh.make_tensor_value_info(name, kind, ["rows", width])],
        [oh.make_tensor_value_info("same", kind, ["rows", width])],
    )


def scorer(folder: Path, content: bytes, signature: Signature, **sources: str) -> Scorer:
    file = folder / "model.onnx"
    file.write_bytes(content)
    files = ModelFiles(runtime="onnx", path=str(file), options={})
    return Scorer(files, signature, sources)


def test_features_are_found_by_the_columns_that_have_them(tmp_path: Path) -> None:
    matrix = TensorSpec("x", "FP32", (-1, 2), features=("a", "b"))
    signature = Signature((matrix,), (TensorSpec("same", "FP32", (-1, 2)),))
    model = scorer(tmp_path, same_model("x", FLOAT, 2), signature, a="second", b="first")
    rows = pa.record_batch({"first": pa.array([1, 2], pa.float32()), "id": ["p", "q"]})
    rows = rows.append_column("second", pa.array([3, 4], pa.float32()))

    answers = model.answers(model.inputs(rows))

    assert answers["same"].tolist() == [[3, 1], [4, 2]]


def test_optional_features_without_a_column_are_missing_in_every_row(tmp_path: Path) -> None:
    matrix = TensorSpec("x", "FP32", (-1, 2), features=("a", "b"), nullable=True, optional=True)
    signature = Signature((matrix,), (TensorSpec("same", "FP32", (-1, 2)),))
    content = same_model("x", FLOAT, 2)
    rows = pa.record_batch({"b": pa.array([1, 2], pa.float32())})

    some = scorer(tmp_path, content, signature, b="b").inputs(rows)["x"]
    none = scorer(tmp_path, content, signature).inputs(rows)["x"]

    np.testing.assert_array_equal(some, [[np.nan, 1], [np.nan, 2]])
    assert none.shape == (2, 2)
    assert np.isnan(none).all()


def test_texts_that_are_missing_are_what_the_model_takes_for_missing(tmp_path: Path) -> None:
    texts = TensorSpec(
        "x", "BYTES", (-1, 2), features=("a", "b"), nullable=True, missing_value="?", optional=True
    )
    signature = Signature((texts,), (TensorSpec("same", "BYTES", (-1, 2)),))
    model = scorer(tmp_path, same_model("x", STRING, 2), signature, a="a")

    answers = model.answers(model.inputs(pa.record_batch({"a": ["p", "q"]})))

    assert answers["same"].tolist() == [["p", "?"], ["q", "?"]]


def test_an_input_that_is_a_list_is_one_column(tmp_path: Path) -> None:
    signature = Signature(
        (TensorSpec("x", "FP32", (-1, 3)),), (TensorSpec("same", "FP32", (-1, 3)),)
    )
    model = scorer(tmp_path, same_model("x", FLOAT, 3), signature, x="embedding")
    rows = pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.float32(), 3))

    found = model.inputs(pa.record_batch({"embedding": rows}))["x"]

    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]


def batch_of(places: list[int]) -> RowBatch:
    rows = np.arange(1, len(places) + 1)
    block = RowBlock(pa.record_batch({"place": pa.array(places, pa.int64())}), "a.parquet", rows)
    (batch,) = cut([block], len(places))
    return batch


@pytest.mark.parametrize("bad", [[0], [7], [3, 4], [0, 1, 2, 3, 4, 5, 6, 7], []])
def test_rows_that_the_model_fails_on_are_set_aside_and_the_others_answered_in_order(
    tmp_path: Path, bad: list[int]
) -> None:
    places = [99 if row in bad else row for row in range(8)]
    rejected: list[RejectedRow] = []
    ran: list[RowBatch] = []

    @contextmanager
    def during(batch: RowBatch) -> Iterator[None]:
        try:
            yield
        finally:
            ran.append(batch)

    model = scorer(tmp_path, picky_model(), PICKY, place="place")
    scoring = RowScoring(model, None, StageTimes(), during, rejected.append)

    found = list(scoring.answers(batch_of(places)))

    answers = [value for one in found for value in one.outputs["found"][:, 0].tolist()]
    assert answers == [10.0 * row for row in range(8) if row not in bad]
    assert [row.row for row in rejected] == [row + 1 for row in bad]
    assert {row.kind for row in rejected} <= {"model_failed"}
    # also where the model fails
    assert len(ran[0]) == 8


def test_a_batch_that_is_only_tried_fails_as_a_whole(tmp_path: Path) -> None:
    model = scorer(tmp_path, picky_model(), PICKY, place="place")
    scoring = RowScoring(model, None, StageTimes(), lambda _: nullcontext(), lambda _: None)

    with pytest.raises(ModelFailed, match="out of"):
        scoring.run(batch_of([1, 99]))
