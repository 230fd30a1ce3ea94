"""Rows of an output for tests, and how they are read back."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv, ipc

COUNTRIES = ("DE", "FR", "a/b=c", "", "日本")


def answers(rows: int, seed: int = 0) -> pa.RecordBatch:
    """Rows as jobs write them: kept columns, scores, a label, the version."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, len(COUNTRIES) + 1, rows)
    countries = [None if place == len(COUNTRIES) else COUNTRIES[place] for place in places]
    scores = pa.array(rng.random(rows * 3, np.float32))
    texts = [f'user "{number}",\n\\' if number % 7 == 0 else f"u{number}" for number in range(rows)]
    return pa.record_batch(
        {
            "id": pa.array(range(rows), pa.int64()),
            "user": pa.array(texts, pa.string()),
            "country": pa.array(countries, pa.string()),
            "amount": pa.array(rng.random(rows), mask=rng.random(rows) < 0.1),
            "scores": pa.FixedSizeListArray.from_arrays(scores, 3),
            "label": pa.array(np.array(["stays", "leaves"])[places % 2]),
            "model_version": pa.array(np.full(rows, 3, np.int32)),
        }
    )


def blocks(batch: pa.RecordBatch, sizes: list[int]) -> Iterator[pa.RecordBatch]:
    """The rows in blocks of these sizes, over and over, each with memory of its own."""
    start = turn = 0
    while start < len(batch):
        size = sizes[turn % len(sizes)]
        block = batch.slice(start, size)
        yield block.take(pa.array(range(len(block))))
        start, turn = start + size, turn + 1


def read_rows(content: bytes, suffix: str) -> list[dict[str, Any]]:
    """The rows of a file, by pyarrow; vectors of CSV stay columns."""
    if suffix == ".parquet":
        return list(pq.read_table(io.BytesIO(content)).to_pylist())
    if suffix == ".arrow":
        return list(ipc.open_file(content).read_all().to_pylist())
    for ending, name in ((".gz", "gzip"), (".zst", "zstd")):
        if suffix.endswith(ending):
            content = pa.CompressedInputStream(io.BytesIO(content), name).read()
    if suffix.startswith(".csv"):
        options = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        parse = csv.ParseOptions(newlines_in_values=True)
        stream = io.BytesIO(content)
        table = csv.read_csv(stream, parse_options=parse, convert_options=options)
        return list(table.to_pylist())
    return list(msgspec.json.Decoder().decode_lines(content))
