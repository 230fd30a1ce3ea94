"""Which columns the output has, in which order, and what they hold."""

from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from augurium.batch.output_columns import OutputColumns
from augurium.batch.partition_writer import open_writer
from augurium.core.batch_job import OutputFormat, OutputSpec
from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.signature import Signature
from augurium.core.tensors import BFLOAT16, TensorSpec
from tests.support.output_places import MemoryPlace

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
KEPT = pa.schema([("id", pa.int64()), ("country", pa.dictionary(pa.int32(), pa.string()))])
SIGNATURE = Signature(
    inputs=(TensorSpec("features", "FP32", (-1, 4)),),
    outputs=(
        TensorSpec("label", "BYTES", (-1,)),
        TensorSpec("probability", "FP32", (-1, 1)),
        TensorSpec("scores", "FP32", (-1, 2), labels=("no", "yes")),
    ),
)


def spec(form: OutputFormat = "parquet", **given: Any) -> OutputSpec:
    return OutputSpec(path="/out", format=form, **given)


def kept(rows: int) -> pa.RecordBatch:
    countries = pa.array(["DE", "FR"] * (rows // 2)).dictionary_encode()
    return pa.record_batch([pa.array(range(rows)), countries], schema=KEPT)


def answered(rows: int) -> dict[str, Any]:
    scores = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    label = np.array(["no", "yes"] * (rows // 2), np.object_)
    return {"label": label, "probability": scores[:, 1:], "scores": scores}


def test_kept_columns_come_first_then_outputs_and_the_version() -> None:
    columns = OutputColumns(KEPT, SIGNATURE, spec(), version=3)
    batch = columns.batch(kept(4), answered(4))

    assert batch.schema == columns.schema
    assert batch.to_pylist()[:2] == [
        {
            "id": 0,
            "country": "DE",
            "label": "no",
            "probability": 1.0,
            "scores": [0.0, 1.0],
            "model_version": 3,
        },
        {
            "id": 1,
            "country": "FR",
            "label": "yes",
            "probability": 3.0,
            "scores": [2.0, 3.0],
            "model_version": 3,
        },
    ]
    assert columns.schema.field("scores").type == pa.list_(pa.float32(), 2)
    assert columns.schema.field("model_version").type == pa.int32()


def test_outputs_that_are_asked_for_are_written_in_that_order_and_no_others() -> None:
    columns = OutputColumns(KEPT, SIGNATURE, spec(outputs=("scores", "label")), 3)
    assert columns.outputs == ("scores", "label")
    names = columns.batch(kept(2), answered(2)).schema.names
    assert names == ["id", "country", "scores", "label", "model_version"]


def test_further_columns_stand_before_the_version() -> None:
    more = pa.field("contributions", pa.list_(pa.float32(), 2))
    columns = OutputColumns(KEPT, SIGNATURE, spec(outputs=("label",)), 3, [more])
    values = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 3, 4], pa.float32()), 2)
    batch = columns.batch(kept(2), answered(2), {"contributions": values})
    assert batch.schema.names[-2:] == ["contributions", "model_version"]
    assert batch["contributions"].to_pylist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_short_floats_become_floats_that_every_reader_knows(datatype: str) -> None:
    signature = Signature((), (TensorSpec("score", datatype, (-1,)),))
    columns = OutputColumns(pa.schema([]), signature, spec(), 1)
    dtype = np.float16 if datatype == "FP16" else BFLOAT16
    rows = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    batch = columns.batch(rows, {"score": np.array([0.5, 2.0], dtype)})
    assert batch.schema.field("score").type == pa.float32()
    assert batch["score"].to_pylist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("shape", "array", "expected"),
    [
        ((-1, 2, 2), np.arange(8).reshape(2, 2, 2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        ((-1, -1), np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        ((-1, -1, 2), np.arange(8).reshape(2, 2, 2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        ((-1, -1), np.zeros((2, 0), np.int64), [[], []]),
    ],
)
def test_tensors_of_any_shape_are_lists(
    shape: tuple[int, ...], array: Any, expected: list[Any]
) -> None:
    signature = Signature((), (TensorSpec("boxes", "INT64", shape),))
    columns = OutputColumns(pa.schema([("id", pa.int64())]), signature, spec(), 1)
    ids = pa.record_batch({"id": pa.array([1, 2])})
    for form in ("parquet", "arrow", "jsonl"):
        OutputColumns(ids.schema, signature, spec(form), 1)
    assert columns.batch(ids, {"boxes": array})["boxes"].to_pylist() == expected


def test_an_output_that_is_not_what_the_signature_says_fails_the_model() -> None:
    columns = OutputColumns(KEPT, SIGNATURE, spec(), 3)
    wrong = answered(2) | {"scores": np.zeros((2, 3), np.float32)}
    with pytest.raises(ModelFailed, match=r"output 'scores' has the shape \[2, 3\]"):
        columns.batch(kept(2), wrong)


def test_two_columns_of_one_name_are_refused_before_any_work() -> None:
    for name in ("label", "model_version", "id"):
        schema = pa.schema([("id", pa.int64()), (name, pa.int64())])
        with pytest.raises(InvalidArgument, match=f"would be called '{name}'"):
            OutputColumns(schema, SIGNATURE, spec(), 3)


def test_an_output_that_the_model_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(InvalidArgument, match=r"no output \['sore'\]; it has \['label', 'prob"):
        OutputColumns(KEPT, SIGNATURE, spec(outputs=("sore",)), 3)


def test_folders_by_a_column_that_is_not_kept_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"partitioned by \['day'\], which is not kept"):
        OutputColumns(KEPT, SIGNATURE, spec(partition_by=("country", "day")), 3)
    with pytest.raises(InvalidArgument, match="twice"):
        OutputColumns(KEPT, SIGNATURE, spec(partition_by=("country", "country")), 3)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.binary(), pa.list_(pa.binary(), 2)],
)
def test_csv_refuses_columns_that_it_cannot_hold(kind: pa.DataType) -> None:
    schema = pa.schema([("tags", kind)])
    with pytest.raises(InvalidArgument, match="CSV cannot hold column 'tags'"):
        OutputColumns(schema, SIGNATURE, spec("csv"), 3)
    OutputColumns(schema, SIGNATURE, spec("jsonl"), 3)


KINDS = [
    *(pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(20, 3)),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16), pa.null()),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.duration("ms")),
    *(pa.timestamp("ns", "Europe/Berlin"), pa.month_day_nano_interval()),
    *(pa.list_(pa.int8()), pa.list_(pa.string(), 2), pa.struct([("a", pa.date32())])),
    *(pa.map_(pa.string(), pa.int64()), pa.list_view(pa.int64())),
]
REFUSED: dict[str, list[pa.DataType]] = {
    "parquet": [pa.month_day_nano_interval()],
    "arrow": [],
    "csv": [
        *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16)),
        *(pa.list_(pa.int8()), pa.struct([("a", pa.date32())]), pa.map_(pa.string(), pa.int64())),
        *(pa.list_view(pa.int64()), pa.month_day_nano_interval()),
    ],
    "jsonl": [pa.month_day_nano_interval()],
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_column_of_any_type_is_written_or_refused_before_any_work(
    form: OutputFormat, kind: pa.DataType
) -> None:
    kept = pa.record_batch([pa.nulls(3, kind)], ["column"])
    signature = Signature((), (TensorSpec("score", "FP32", (-1,)),))
    if kind in REFUSED[form]:
        with pytest.raises(InvalidArgument, match=r"(?i)cannot hold column 'column'"):
            OutputColumns(kept.schema, signature, spec(form), 1)
        return
    columns = OutputColumns(kept.schema, signature, spec(form), 1)
    writer = open_writer(spec(form), MemoryPlace(), "job", 1, 0)
    writer.write(columns.batch(kept, {"score": np.zeros(3, np.float32)}))
    (file,) = writer.close()
    assert file.rows == 3


def test_csv_has_a_column_per_class_and_refuses_one_that_is_called_like_it() -> None:
    schema = pa.schema([("scores_yes", pa.int64())])
    with pytest.raises(InvalidArgument, match="would be called 'scores_yes'"):
        OutputColumns(schema, SIGNATURE, spec("csv"), 3)
    OutputColumns(schema, SIGNATURE, spec("parquet"), 3)


def test_a_compression_that_the_format_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="csv files cannot be compressed by 'snappy'"):
        OutputColumns(KEPT, SIGNATURE, spec("csv", compression="snappy"), 3)
