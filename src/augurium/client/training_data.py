"""Training data on its way to a server: a file whole, a table in memory as Arrow IPC.

Without pyarrow a table in memory goes along as the JSON sample of `sample_table`.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from augurium.client.sample_table import EXPECTED, column_lists, sample_table, with_codes
from augurium.client.sources import Source, open_source
from augurium.core.errors import InvalidArgument

CHUNK_ROWS = 65536  # what a server holds at once
CODED = frozenset({"xgboost", "lightgbm"})  # these learn from the codes of categories


def training_data(data: object, framework: str | None = None) -> Source | None:
    """What to upload for `data`.

    `data` is the path or URI of a table, which is sent as it is; a pandas or polars DataFrame, an
    Arrow table, a dict of columns or a list of dicts. `framework` is the package of the model it
    was made for. Raises InvalidArgument for what is not a table.
    """
    if data is None:
        return None
    if isinstance(data, str | os.PathLike):
        # opened now, so that a wrong path is told before the model is sent
        return open_source(data)
    as_codes = framework in CODED
    try:
        import pyarrow
    except ImportError:
        return sample_table(data, as_codes)
    try:
        return _ipc(_arrow_table(pyarrow, with_codes(data) if as_codes else data))
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"the data cannot be sent as a table: {error}; expected columns of one type each, "
            "numbers, strings, booleans or times"
        ) from error


def _arrow_table(pyarrow: Any, data: Any) -> Any:
    if hasattr(data, "columns") and hasattr(data, "to_dict") and hasattr(data, "iloc"):
        # pandas: an index is no feature
        named = data.rename(columns=str)
        return pyarrow.Table.from_pandas(named, preserve_index=False)
    if hasattr(data, "__arrow_c_stream__"):
        return pyarrow.table(data)
    if isinstance(data, Mapping | Sequence) and not isinstance(data, bytes | bytearray):
        return pyarrow.table(column_lists(data))
    raise InvalidArgument(f"data of type {type(data).__qualname__} is not a table; {EXPECTED}")


def _ipc(table: Any) -> bytes:
    import pyarrow
    from pyarrow import ipc

    # what libraries note about themselves would give one table two digests
    bare = table.replace_schema_metadata()
    sink = pyarrow.BufferOutputStream()
    with ipc.new_file(sink, bare.schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(bare, max_chunksize=CHUNK_ROWS)
    content: bytes = sink.getvalue().to_pybytes()
    return content
