"""Questions to records: SQL over the segments of a range of time."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from augurium.records.database import TIMEOUT_S
from augurium.records.partitions import Partitions
from augurium.records.schema import Schema, empty_table, quoted, rows_of
from augurium.records.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class RecordRange(NamedTuple):
    """The segments of the hours that overlap `start` to `end`; rows before and after are in them as
    well, which the question has to leave out.
    """

    kind: str
    model: str
    schema: Schema
    start: datetime | None = None
    end: datetime | None = None


class RecordQuery:
    """Opens ranges of records as tables. May be used from several threads."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    @contextlib.contextmanager
    def open(
        self, tables: Mapping[str, RecordRange], timeout_s: float = TIMEOUT_S
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection with each range as a table of its name, which has the columns of its schema
        at least, also where there are no rows or older ones that lack a column.

        Values belong into parameters, never into the text of a statement. Raises as
        `RecordDatabase.connection`, and NotReady for a store that cannot be used.
        """
        with contextlib.ExitStack() as stack:
            files = {
                name: stack.enter_context(self._partitions.reading(self._segments(wanted)))
                for name, wanted in tables.items()
            }
            connection = stack.enter_context(self._partitions.database.connection(timeout_s))
            for name, wanted in tables.items():
                _create(connection, name, wanted.schema, files[name])
            yield connection

    def _segments(self, wanted: RecordRange) -> list[Segment]:
        return self._partitions.segments(wanted.kind, wanted.model, wanted.start, wanted.end)


def _create(connection: "DuckDBPyConnection", name: str, schema: Schema, files: list[Path]) -> None:
    empty = f"no {name}"
    connection.execute(empty_table(empty, schema))
    rows = f"SELECT * FROM {quoted(empty)}"  # noqa: S608 - quoted
    if files:
        rows += f" UNION ALL BY NAME {rows_of(files)}"
    # a statement that makes a view takes no parameters
    connection.execute(f"CREATE TEMP VIEW {quoted(name)} AS {rows}")
