"""Writes the transformed columns of a table to a file, batch by batch."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from augurium.core.errors import InvalidArgument
from augurium.preprocessing.fitted import FittedPreprocessing
from augurium.preprocessing.tables import batch_from, stream

Progress = Callable[[str, float], None]
FORMATS = (".parquet", ".csv")


def write_transformed(
    fitted: FittedPreprocessing, table: Any, output: Path, progress: Progress | None = None
) -> int:
    """Writes what the reference makes of a table as Parquet or CSV; returns the number of rows.

    Raises InvalidArgument for another kind of output and for rows that the raw columns refuse.
    """
    if output.suffix not in FORMATS:
        raise InvalidArgument(
            f"'{output.name}' names no format that can be written; expected {' or '.join(FORMATS)}"
        )
    rows = stream(table, {column.name: column.type for column in fitted.inputs})
    arrow = importlib.import_module("pyarrow")
    schema = arrow.schema([(name, arrow.float32()) for name in fitted.outputs])
    given = tuple(c.name for c in fitted.inputs if c.name in rows.types)
    count = 0
    with _writer(output, schema) as writer:
        for batch in rows.open(given):
            with batch_from(count):
                matrix = fitted.transform(batch)[0]
            columns = [arrow.array(matrix[:, i]) for i in range(matrix.shape[1])]
            writer.write_table(arrow.table(columns, schema=schema))
            count += len(matrix)
            if progress is not None:
                progress(f"{count} rows", count / rows.rows if rows.rows else 0.0)
    return count


def _writer(output: Path, schema: Any) -> Any:
    if output.suffix == ".csv":
        return importlib.import_module("pyarrow.csv").CSVWriter(output, schema)
    return importlib.import_module("pyarrow.parquet").ParquetWriter(output, schema)
