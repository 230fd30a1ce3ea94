"""Arrow tables of named features: told apart from other instances, and on the wire.

The wire is the Arrow IPC streaming format in both directions: a column per feature in, a column per
output back. Source: Apache Arrow, "Columnar Format", section "IPC Streaming Format".
"""

from typing import Any, Protocol

import numpy as np

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.tensors import Array

MEDIA_TYPE = "application/vnd.apache.arrow.stream"


class ArrowData(Protocol):
    """Tables of pyarrow, polars and others that speak the Arrow C stream interface."""

    @property
    def schema(self) -> Any:
        """The names and types of the columns."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def arrow() -> Any:
    """The package pyarrow. Raises InvalidArgument when it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise InvalidArgument(
            "Arrow tables need pyarrow: pip install 'augurium[tables]'"
        ) from error
    return pyarrow


def is_arrow(instances: object) -> bool:
    """Whether instances are a table of Arrow; a pandas DataFrame, which can become one, is not."""
    return hasattr(instances, "__arrow_c_stream__") and not hasattr(instances, "iloc")


def arrow_table(instances: object) -> Any:
    """The table of anything for which `is_arrow` holds."""
    pyarrow = arrow()
    return instances if isinstance(instances, pyarrow.Table) else pyarrow.table(instances)


def encode_table(table: Any) -> bytes:
    """The bytes of a table on the wire."""
    pyarrow = arrow()
    from pyarrow import ipc

    sink = pyarrow.BufferOutputStream()
    # what libraries note about themselves is nobody's feature
    bare = table.replace_schema_metadata()
    with ipc.new_stream(sink, bare.schema) as writer:
        writer.write_table(bare)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def decode_table(content: bytes) -> Any:
    """The table of its bytes. Raises AuguriumError when they are damaged."""
    pyarrow = arrow()
    from pyarrow import ipc

    try:
        with ipc.open_stream(pyarrow.py_buffer(content)) as reader:
            table = reader.read_all()
        table.validate()
    except (pyarrow.ArrowException, OSError) as error:
        raise AuguriumError(f"the answer is not an Arrow table: {error}") from error
    return table


def table_of_tensors(outputs: dict[str, Array]) -> Any:
    """A table with a column per tensor and a row per entry of their first dimension."""
    pyarrow = arrow()
    return pyarrow.table({name: _column(values) for name, values in outputs.items()})


def column_values(column: Any) -> Array:
    """The values of a column as an array with a row each; lists of one length become columns."""
    pyarrow = arrow()
    merged = column.combine_chunks()
    if not pyarrow.types.is_nested(merged.type):
        values: Array = merged.to_numpy(zero_copy_only=False)
        return values
    listed = merged.to_pylist()
    try:
        return np.array(listed)
    except ValueError:  # lists of several lengths
        found = np.empty(len(listed), dtype=object)
        found[:] = listed
        return found


def _column(values: Array) -> Any:
    rows = values.reshape(len(values), -1) if values.size else values
    if values.ndim > 1 and rows.shape[1] == 1:
        return rows[:, 0]
    return values if values.ndim == 1 else list(values.tolist())
