"""Arrow tables to tensors and outputs to tables: what fits, what is refused, what is not copied."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

from augurium.core.errors import InvalidArgument, TooLarge
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.protocols.arrow_answers import encode
from augurium.protocols.arrow_tables import ArrowRows

LIMIT = 1_000_000
MATRIX = TensorSpec("x", "FP32", (-1, 3), features=("a", "b", "c"))
NEW_YEAR = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NEW_YEAR_S = 1_767_225_600.0


def column(datatype: str, **more: Any) -> TensorSpec:
    return TensorSpec("x", datatype, (-1,), **more)


FP32, FP64, INT8, INT64 = (column(datatype) for datatype in ("FP32", "FP64", "INT8", "INT64"))
TEXT = column("BYTES", nullable=True, missing_value="?")
MOMENT = column("FP64", moment=True, nullable=True)


def stream(table: Any, rows_per_batch: int | None = None, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression=compression)
    with ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, rows_per_batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def blocks(
    table: Any, *inputs: TensorSpec, batch_rows: int = 4, **how: Any
) -> list[dict[str, Array]]:
    rows = ArrowRows(stream(pa.table(table), **how), LIMIT)
    return list(rows.blocks(Signature(inputs, ()), batch_rows))


def values(column_values: Any, spec: TensorSpec) -> Array:
    (block,) = blocks({"x": column_values}, spec)
    return block["x"]


def test_a_column_per_feature_becomes_a_matrix_in_the_signatures_order() -> None:
    table = {"c": [5.0, 6.0], "a": pa.array([1, 2]), "b": pa.array([3, 4], pa.float32())}

    (block,) = blocks(table, MATRIX)

    assert block["x"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert block["x"].dtype == np.float32


def test_columns_of_the_matrix_own_type_keep_nulls_as_nan() -> None:
    table = {name: pa.array([1, None, 3], pa.float32()) for name in "abc"}

    (block,) = blocks(table, MATRIX)

    np.testing.assert_array_equal(block["x"], [[1, 1, 1], [np.nan] * 3, [3, 3, 3]])
    assert block["x"].dtype == np.float32


def test_whole_numbers_in_a_matrix_are_exact() -> None:
    spec = TensorSpec("x", "INT64", (-1, 2), features=("a", "b"))
    table = {"a": [2**60 + 1, 2**53 + 1], "b": [-(2**60) - 1, 0]}

    (block,) = blocks(table, spec)

    assert block["x"].tolist() == [[2**60 + 1, -(2**60) - 1], [2**53 + 1, 0]]
    assert block["x"].dtype == np.int64


def test_null_is_no_whole_number_of_a_matrix() -> None:
    spec = TensorSpec("x", "INT64", (-1, 2), features=("a", "b"))

    with pytest.raises(InvalidArgument, match="column 'b' has a missing value"):
        blocks({"a": [1, 2], "b": pa.array([1, None], pa.int64())}, spec)


def test_a_matrix_may_come_as_one_column_of_lists_and_is_not_copied() -> None:
    rows = np.arange(12, dtype=np.float32)
    listed = pa.FixedSizeListArray.from_arrays(pa.array(rows), 3)
    content = stream(pa.table({"x": listed}))

    (block,) = ArrowRows(content, LIMIT).blocks(Signature((MATRIX,), ()), 4)

    assert block["x"].tolist() == rows.reshape(4, 3).tolist()
    start = np.frombuffer(content, np.uint8).ctypes.data
    assert start < block["x"].ctypes.data < start + len(content)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64())])
def test_lists_of_any_kind_are_a_matrix_when_they_are_equally_long(kind: Any) -> None:
    assert values(pa.array([[1, 2, 3], [4, 5, 6]], kind), MATRIX).tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(InvalidArgument, match="lists of different lengths"):
        values(pa.array([[1, 2, 3], [4, 5]], kind), MATRIX)
    with pytest.raises(InvalidArgument, match="a row that is null"):
        values(pa.array([[1, 2, 3], None], kind), MATRIX)


@pytest.mark.parametrize("nested", [True, False])
def test_a_row_of_several_dimensions_comes_nested_or_flat(nested: bool) -> None:
    image = TensorSpec("x", "FP32", (-1, 2, 3))
    listed = pa.FixedSizeListArray.from_arrays(
        pa.array(np.arange(12, dtype=np.float32)), 3 if nested else 6
    )
    found = values(pa.FixedSizeListArray.from_arrays(listed, 2) if nested else listed, image)

    assert found.tolist() == np.arange(12).reshape(2, 2, 3).tolist()


@pytest.mark.parametrize(
    ("given", "spec", "expected"),
    [
        (pa.array([1, 2]), FP32, [1, 2]),
        (pa.array([1.5, 2], pa.float64()), FP32, [1.5, 2]),
        (pa.array([float("inf"), 1]), FP32, [float("inf"), 1]),
        (pa.array([1, 2], pa.decimal128(9, 2)), FP64, [1, 2]),
        (pa.array([1, 2]).dictionary_encode(), FP32, [1, 2]),
        (pa.array([1, 2], pa.int32()), INT64, [1, 2]),
        (pa.array([1, 2], pa.uint64()), INT8, [1, 2]),
        (pa.array([True, False]), column("BOOL"), [True, False]),
        (pa.array(["a", None]), TEXT, ["a", None]),
        (pa.array(["a", None], pa.large_string()), TEXT, ["a", None]),
        (pa.array(["a", None], pa.string_view()), TEXT, ["a", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), TEXT, ["a", None, "a"]),
        (pa.nulls(2), TEXT, [None, None]),
        (pa.array([NEW_YEAR]), MOMENT, [NEW_YEAR_S]),
        (pa.array([NEW_YEAR], pa.timestamp("ns", "Europe/Rome")), MOMENT, [NEW_YEAR_S]),
        (pa.array([NEW_YEAR.date()]), MOMENT, [NEW_YEAR_S]),
        (pa.array([NEW_YEAR.date()], pa.date64()), MOMENT, [NEW_YEAR_S]),
        # texts become times where the signature is held against them
        (pa.array(["2026-01-01"]), MOMENT, ["2026-01-01"]),
        (pa.array([1, 2]), column("BYTES", lenient=True, nullable=True), [None, None]),
    ],
)
def test_values_of_every_type_that_holds_them_are_taken(
    given: Any, spec: TensorSpec, expected: list[Any]
) -> None:
    assert values(given, spec).tolist() == expected


@pytest.mark.parametrize(
    "given", [pa.array([1.5, None]), pa.array([1, None]), pa.nulls(2)], ids=str
)
def test_null_is_nan_among_floats(given: Any) -> None:
    assert np.isnan(values(given, FP32)[1])


@pytest.mark.parametrize(
    ("given", "spec", "message"),
    [
        (pa.array([1e300]), FP32, "out of the range of FP32"),
        (pa.array([300]), INT8, "out of the range of INT8"),
        (pa.array([-1]), column("UINT8"), "out of the range of UINT8"),
        (pa.array([1.0]), INT64, "has the type double; expected whole numbers for INT64"),
        (pa.array([1, None]), INT64, "missing value"),
        (pa.nulls(1), INT64, "missing value"),
        (pa.array([True, None]), column("BOOL"), "missing value"),
        (pa.array([1]), column("BOOL"), "has the type int64; expected bool"),
        (pa.array([True]), FP32, "has the type bool; expected numbers"),
        (pa.array(["1"]), FP32, "has the type string; expected numbers"),
        (pa.array([1]), TEXT, "expected strings"),
        (pa.array([b"a"]), FP32, "has the type binary; expected numbers"),
        (pa.array([NEW_YEAR]), FP64, "expected numbers"),
        (pa.array([True]), MOMENT, "expected a timestamp"),
        (pa.array([1.0, 2.0]), MATRIX, "expected a fixed_size_list of 3 FP32 values"),
        (pa.array([{"a": 1}]), FP32, "struct"),
        (pa.array([[(1, 2)]], pa.map_(pa.int32(), pa.int32())), FP32, "map"),
        (pa.array([[(1, 2)]], pa.map_(pa.int32(), pa.int32())), MATRIX, "map"),
        (pa.array([[1.0]], pa.list_view(pa.float32())), FP32, "list_view"),
        (pa.RunEndEncodedArray.from_arrays([1], [1.0]), FP32, "run_end_encoded"),
    ],
)
def test_a_column_that_does_not_fit_is_told_what_would(
    given: Any, spec: TensorSpec, message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        values(given, spec)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": [1], "b": [1]}, r"misses the columns \['c'\]; expected \['a', 'b', 'c'\]"),
        ({"a": [1], "b": [1], "c": [1], "d": [1]}, r"has unknown columns \['d'\]"),
        ({"x": [1], "a": [1]}, r"has unknown columns \['a'\]"),
        ({}, "misses the columns"),
        ({"a": [[1]], "b": [1], "c": [1]}, "column 'a' has the type list"),
        (pa.table({"a": [1], "b": [1], "c": [1]}).slice(1), "has no rows"),
    ],
)
def test_columns_that_do_not_fit_the_signature_are_named(table: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        blocks(table, MATRIX)


def test_a_column_that_is_given_twice_is_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1])] * 2, ["x", "x"])
    with pytest.raises(InvalidArgument, match="column 'x' is given twice"):
        blocks(twice, FP32)


def test_optional_features_may_be_left_out() -> None:
    optional = TensorSpec("x", "FP32", (-1, 2), features=("a", "b"), optional=True, nullable=True)
    (block,) = blocks({"a": [1.0]}, optional)

    assert list(block) == ["a"]


@pytest.mark.parametrize("rows_per_batch", [1, 7, 1500, None])
@pytest.mark.parametrize("batch_rows", [1, 256, 3000])
def test_rows_keep_their_order_whatever_the_batches(
    rows_per_batch: int | None, batch_rows: int
) -> None:
    rows = np.arange(5000, dtype=np.float32)
    table = {"x": rows, "y": pa.array([str(int(row)) for row in rows]).dictionary_encode()}
    text = TensorSpec("y", "BYTES", (-1,))

    found = blocks(table, FP32, text, batch_rows=batch_rows, rows_per_batch=rows_per_batch)

    assert np.concatenate([block["x"] for block in found]).tolist() == rows.tolist()
    assert [value for block in found for value in block["y"]] == [str(int(row)) for row in rows]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_read_up_to_the_limit(compression: str) -> None:
    rows = LIMIT // 8
    fits, bomb = ({"x": np.zeros(count)} for count in (rows // 2, 10 * rows))

    assert (
        sum(len(block["x"]) for block in blocks(fits, FP64, compression=compression)) == rows // 2
    )
    assert len(stream(pa.table(bomb), compression=compression)) < LIMIT // 2
    with pytest.raises(TooLarge, match="when it is decompressed"):
        blocks(bomb, FP64, compression=compression)


@pytest.mark.parametrize("kind", ["dictionary", "view", "views in lists"])
def test_texts_that_many_rows_mean_count_once_for_each_of_them(kind: str) -> None:
    text, rows = "x" * 100_000, 20
    if kind == "dictionary":
        given: Any = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), [text])
    else:
        _, view, data = pa.array([text], pa.string_view()).buffers()
        views = pa.py_buffer(view.to_pybytes()[:16] * rows)
        given = pa.Array.from_buffers(pa.string_view(), rows, [None, views, data])
    if kind == "views in lists":
        given = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), given)
    with pytest.raises(TooLarge):
        values(given, TEXT if kind != "views in lists" else TensorSpec("x", "BYTES", (-1, 1)))


def test_rows_without_bytes_are_not_believed() -> None:
    with pytest.raises(InvalidArgument, match="do not fit its"):
        values(pa.nulls(10**9), TEXT)


def test_offsets_out_of_their_buffer_are_refused() -> None:
    content = bytearray(stream(pa.table({"x": ["abcdefgh", "ijkl"]})))
    # the offsets 0, 8, 12
    place = content.index(np.array([0, 8, 12], "<i4").tobytes())
    content[place + 8 : place + 12] = np.array([2**30], "<i4").tobytes()
    with pytest.raises(InvalidArgument, match="not an Arrow IPC stream"):
        list(ArrowRows(bytes(content), LIMIT).blocks(Signature((TEXT,), ()), 4))


def response(*arrays: Array, names: str = "pq") -> InferenceResponse:
    specs = [TensorSpec(name, "FP32", (-1,)) for name, _ in zip(names, arrays, strict=False)]
    return InferenceResponse("m", 1, "", specs, range(len(arrays)), Answer(BatchOutputs(arrays)))


def test_outputs_are_columns_over_all_parts() -> None:
    first = response(np.array([1, 2]), np.arange(12.0).reshape(2, 3, 2))
    second = response(np.array([[3]]).reshape(1), np.arange(12.0, 18.0).reshape(1, 3, 2))

    table = ipc.open_stream(encode([first, second])).read_all()

    assert table.column("p").to_pylist() == [1, 2, 3]
    assert table.column("q").to_pylist() == np.arange(18.0).reshape(3, 3, 2).tolist()
    assert pa.types.is_fixed_size_list(table.schema.field("q").type)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[1.0], [2.0]]), [1.0, 2.0]),
        (np.array([["a"], [None]], np.object_), ["a", None]),
        (np.array([True, False]), [True, False]),
        (np.array([np.nan, 1.0]), [pytest.approx(np.nan, nan_ok=True), 1.0]),
        (np.zeros((2, 0)), [[], []]),
        (np.array([["a", "b"]], np.object_), [["a", "b"]]),
        (np.array([1.5], np.float16), [1.5]),
    ],
)
def test_an_output_of_any_kind_is_a_column(array: Array, expected: list[Any]) -> None:
    assert ipc.open_stream(encode([response(array)])).read_all().column("p").to_pylist() == expected


def test_rows_of_different_lengths_are_lists() -> None:
    parts = [response(np.zeros((2, 1))), response(np.ones((1, 3)))]

    assert ipc.open_stream(encode(parts)).read_all().column("p").to_pylist() == [
        [0],
        [0],
        [1, 1, 1],
    ]
