"""Training tables in Parquet and Arrow IPC. Imports pyarrow, so in child processes only."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import ipc, parquet

from augurium.core.errors import InvalidArgument
from augurium.importing.arrow_columns import fields_of, values_of
from augurium.importing.training_table import Block, Field, block_rows, checked_blocks

FILE_MAGIC = b"ARROW1"
BUFFER_BYTES = 256 * 1024  # of each column; without it a whole row group is read at once


class ParquetTable:
    """A Parquet file; `binary` as in `open_table`."""

    def __init__(self, file: Path, binary: bool = False) -> None:
        self._file = file
        with damage_told("Parquet"), self._open() as opened:
            self.fields, self.left_out = fields_of(opened.schema_arrow, binary)

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        names = [field.name for field in self.fields]
        rows = block_rows(len(names))
        with damage_told("Parquet"), self._open() as opened:
            for batch in opened.iter_batches(rows, columns=names, use_threads=False):
                yield {name: values_of(batch.column(name)) for name in names}

    def _open(self) -> Any:
        # a mapped file counts as memory of the child, which is limited
        return parquet.ParquetFile(
            self._file,
            memory_map=False,
            pre_buffer=False,
            buffer_size=BUFFER_BYTES,
            page_checksum_verification=True,
        )


class IpcTable:
    """An Arrow IPC file, also called Feather, or an IPC stream; `binary` as in `open_table`."""

    def __init__(self, file: Path, binary: bool = False) -> None:
        self._file = file
        with damage_told("Arrow"), self._open() as (schema, _):
            self.fields, self.left_out = fields_of(schema, binary)

    fields: tuple[Field, ...]
    left_out: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        return checked_blocks(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        names = [field.name for field in self.fields]
        rows = block_rows(len(names))
        with damage_told("Arrow"), self._open() as (_, batches):
            for batch in batches:
                # offsets that lead out of the file would be followed otherwise
                batch.validate(full=True)
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    yield {name: values_of(part.column(name)) for name in names}

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        with pa.OSFile(str(self._file)) as source:
            if source.read(len(FILE_MAGIC)) != FILE_MAGIC:
                source.seek(0)
                with ipc.open_stream(source) as stream:
                    yield stream.schema, iter(stream)
                return
            with ipc.open_file(source) as opened:
                count = opened.num_record_batches
                yield opened.schema, (opened.get_batch(index) for index in range(count))


@contextlib.contextmanager
def damage_told(what: str) -> Iterator[None]:
    """Raises InvalidArgument for what pyarrow says of a damaged file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, MemoryError):
            raise
        said = (str(error).splitlines() or [""])[0][:300]
        if "straddl" in said:
            raise InvalidArgument(
                f"the training table cannot be read as {what}: a row is longer than 8 MiB; shorten"
                " its values, or send Parquet"
            ) from error
        raise InvalidArgument(
            f"the training table cannot be read as {what}: {said}; save it again"
        ) from error
