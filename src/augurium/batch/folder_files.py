"""The data files of one partition: one, or some in every folder `column=value`. Imports pyarrow."""

from typing import Protocol

import pyarrow as pa

from augurium.batch.hive_folders import split
from augurium.batch.output_file import OutputFile
from augurium.batch.partition import WrittenFile
from augurium.batch.row_groups import RowGroups, row_bytes, rows_per_group, text_bytes
from augurium.core.errors import InvalidArgument

MOST_OPEN = 32
MOST_FOLDERS = 10_000
# rows that wait in memory until their folders have more
WAITING_BYTES = 64 * 1024 * 1024


class OpenFile(Protocol):
    """Opens the file of a folder; `sequel` counts those that it has already."""

    def open(self, schema: pa.Schema, folder: str = "", sequel: int = 0) -> OutputFile: ...


class SingleFile:
    """All rows in one file, in groups of a fixed size."""

    def __init__(self, files: OpenFile, schema: pa.Schema) -> None:
        self._groups = RowGroups(schema)
        self._file = files.open(schema)

    def write(self, batch: pa.RecordBatch) -> None:
        for group in self._groups.add(batch):
            self._file.write(group)

    def close(self) -> list[WrittenFile]:
        rest = self._groups.rest()
        if rest is not None:
            self._file.write(rest)
        return [self._file.close()]

    def abort(self) -> None:
        self._file.abort()


class FolderFiles:
    """A file per folder, mostly: rows wait in memory, and when they are too many, those of the
    folder that has most are written. Of more than `MOST_OPEN` files, the one written to longest
    ago is ended, and its folder gets another one if it has more rows.

    Rows are cut into groups before they are split, so that all of this depends on them alone.
    """

    def __init__(self, files: OpenFile, schema: pa.Schema, columns: tuple[str, ...]) -> None:
        self._files = files
        self._columns = columns
        names = [name for name in schema.names if name not in columns]
        self._schema = pa.schema([schema.field(name) for name in names], schema.metadata)
        self._groups = RowGroups(schema)
        self._waiting: dict[str, list[pa.Table]] = {}
        self._bytes: dict[str, int] = {}
        self._open: dict[str, OutputFile] = {}
        self._sequels: dict[str, int] = {}
        self._written: list[WrittenFile] = []

    def write(self, batch: pa.RecordBatch) -> None:
        for group in self._groups.add(batch):
            self._take(group)

    def close(self) -> list[WrittenFile]:
        rest = self._groups.rest()
        if rest is not None:
            self._take(rest)
        for folder in sorted(self._waiting):
            self._flush(folder)
            self._end(folder)
        for folder in sorted(self._open):
            self._end(folder)
        return self._written

    def abort(self) -> None:
        for file in self._open.values():
            file.abort()

    def _take(self, group: pa.Table) -> None:
        for folder, rows in split(group, self._columns):
            self._waiting.setdefault(folder, []).append(rows)
            size = rows.num_rows * row_bytes(self._schema) + int(text_bytes(rows).sum())
            self._bytes[folder] = self._bytes.get(folder, 0) + size
        self._check_folders()
        while sum(self._bytes.values()) > WAITING_BYTES:
            self._flush(max(sorted(self._bytes), key=self._bytes.__getitem__))

    def _flush(self, folder: str) -> None:
        rows = pa.concat_tables(self._waiting.pop(folder))
        del self._bytes[folder]
        file, most_rows = self._file(folder), rows_per_group(self._schema)
        for start in range(0, rows.num_rows, most_rows):
            file.write(rows.slice(start, most_rows))

    def _file(self, folder: str) -> OutputFile:
        # what was written to last stands last
        file = self._open.pop(folder, None)
        if file is None:
            sequel = self._sequels.get(folder, 0)
            self._sequels[folder] = sequel + 1
            file = self._files.open(self._schema, f"{folder}/", sequel)
        self._open[folder] = file
        if len(self._open) > MOST_OPEN:
            self._end(next(iter(self._open)))
        return file

    def _end(self, folder: str) -> None:
        self._written.append(self._open[folder].close())
        del self._open[folder]

    def _check_folders(self) -> None:
        folders = len(self._waiting.keys() | self._sequels.keys())
        if folders > MOST_FOLDERS:
            raise InvalidArgument(
                f"the values of {', '.join(self._columns)} would make more than {MOST_FOLDERS} "
                "folders of one part of the input; partition by columns with fewer values"
            )
