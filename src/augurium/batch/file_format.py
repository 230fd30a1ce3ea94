"""What a format knows of its files: how they can be cut, and what their rows are.

Imports pyarrow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from augurium.batch.discovery import InputFile
from augurium.batch.input_schema import is_text
from augurium.batch.partition import Fragment, RejectedRow
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile, is_url
from augurium.core.errors import AuguriumError, InvalidArgument, TooLarge

BLOCK_ROWS = 32_768
BLOCK_BYTES = 16 * 1024 * 1024
MOST_TEXT_BYTES = 512 * 1024 * 1024
Reject = Callable[[RejectedRow], None]


class RawBlock(NamedTuple):
    """Rows as they are in the file, with their numbers there, from 1."""

    columns: pa.RecordBatch
    rows: npt.NDArray[np.int64]


class Layout(NamedTuple):
    """The columns of a file, and the smallest pieces it is to be cut into, in their order."""

    schema: pa.Schema
    pieces: tuple[Fragment, ...]


class FileFormat(Protocol):
    """Reads files of one format. Raises InvalidArgument, naming the file, for one that is damaged
    or is none of the format.
    """

    def layout(self, file: InputFile, partition_rows: int | None) -> Layout:
        """What is known of a file before its rows are read. Without `partition_rows`, text is not
        read to its end to be cut.
        """
        ...

    def blocks(
        self, fragment: Fragment, columns: Sequence[str], reject: Reject
    ) -> Iterator[RawBlock]:
        """The rows of a fragment, with those of `columns` that the file has. Rows that are none are
        told to `reject`.
        """
        ...


def block_rows(row_bytes: float) -> int:
    """How many rows of a size are read at a time."""
    return max(1, min(BLOCK_ROWS, int(BLOCK_BYTES / max(row_bytes, 1))))


@contextmanager
def arrow_file(storage: Storage, file: StoredFile) -> Iterator[Any]:
    """A file as Arrow reads it."""
    if not is_url(file.location):
        storage.open(file).close()
        with pa.OSFile(file.location) as source:
            yield source
        return
    with storage.open(file) as stream, pa.PythonFile(stream, mode="r") as source:
        yield source


@contextmanager
def damage(location: str, format_name: str) -> Iterator[None]:
    """Translates what Arrow says of a file that it cannot read."""
    try:
        yield
    except AuguriumError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, EOFError) as error:
        # what our own files raise inside of Arrow comes out as the cause of another error
        cause = error.__cause__ or error.__context__
        if isinstance(cause, AuguriumError):
            raise cause from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise InvalidArgument(
            f"{location} cannot be read as {format_name}: {reason}; write the file again, or leave"
            " it out"
        ) from error


def bounded(columns: pa.RecordBatch, texts: Sequence[str], location: str) -> pa.RecordBatch:
    """Rows whose dictionaries of texts are small enough to be taken apart; those of `texts` are.

    Raises TooLarge where a long text stands in so many rows that a block of them has no room.
    """
    if not any(pa.types.is_dictionary(field.type) for field in columns.schema):
        return columns
    arrays = list(columns.columns)
    for place, (name, array) in enumerate(zip(columns.schema.names, arrays, strict=True)):
        if not (pa.types.is_dictionary(array.type) and is_text(array.type)):
            continue
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        size = pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
        if size > MOST_TEXT_BYTES:
            raise TooLarge(
                f"column '{name}' of {location} has texts of {size} bytes in {len(array)} rows; at"
                f" most {MOST_TEXT_BYTES} can be read at a time: leave the column out, or shorten"
                " its texts"
            )
        if name in texts:
            arrays[place] = array.dictionary_decode()
    return pa.RecordBatch.from_arrays(arrays, columns.schema.names)


def readable(schema: pa.Schema) -> pa.Schema:
    """The schema of a file; raises UnicodeDecodeError where names of columns are no texts."""
    return pa.schema(
        [pa.field(name, schema.field(at).type) for at, name in enumerate(schema.names)]
    )


def numbered(first: int, count: int) -> npt.NDArray[np.int64]:
    """The numbers of rows that follow each other."""
    return np.arange(first, first + count, dtype=np.int64)


def no_columns(rows: int) -> pa.RecordBatch:
    """Rows of which no column is wanted."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
