"""Which rows are scored: a SQL expression over the columns, in DuckDB, fenced in.

An expression sees the row it is asked about and nothing else: no files, no settings, no other rows,
no clock and no chance, so that it says the same of a row whenever it is asked.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from augurium.core.errors import DeadlineExceeded, InvalidArgument
from augurium.core.texts import shown

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MEMORY_BYTES = 512 * 1024 * 1024
TIMEOUT_S = 60.0
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": f"{MEMORY_BYTES // 1024} KiB",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "preserve_insertion_order": True,
}
REFUSED = {
    "SUBQUERY": "a query in it",
    "WINDOW": "a window over other rows",
    "STAR": "a star",
    "PARAMETER": "a parameter",
}
# what looks at the clock, the session or the machine; others of the kind have 'current' in front
UNSTEADY = frozenset(
    [
        "now",
        "today",
        "get_current_time",
        "get_current_timestamp",
        "transaction_timestamp",
        "txid_current",
        "getenv",
        "getvariable",
        "localtime",
        "localtimestamp",
        "in_search_path",
    ]
)


class RowFilter:
    """An expression over columns of these types. Used by one thread.

    Raises InvalidArgument for an expression that cannot be asked of a single row, or names a column
    that there is not.
    """

    def __init__(self, expression: str, schema: "pa.Schema") -> None:
        self._expression = expression
        self._connection = _fenced()
        tree = self._parsed()
        names = {name.lower(): name for name in schema.names}
        self.columns = self._used(tree, names)
        if twice := [name for name in self.columns if schema.names.count(name) > 1]:
            raise self._refused(f"more than one column has the name '{twice[0]}'")
        self._query = f"SELECT coalesce((\n{expression}\n), false) AS kept FROM rows_of_block"  # noqa: S608 - parsed above, and fenced in
        self._check_functions(tree)
        self.mask(_empty(schema, self.columns))

    def mask(self, rows: "pa.RecordBatch") -> npt.NDArray[np.bool_]:
        """For which rows it is true. Raises InvalidArgument when it fails on a value, and
        DeadlineExceeded when it takes too long.
        """
        import duckdb

        watch = threading.Timer(TIMEOUT_S, self._connection.interrupt)
        watch.daemon = True
        watch.start()
        try:
            self._connection.register(
                "rows_of_block", rows.select(self.columns or rows.schema.names[:1])
            )
            found: Any = self._connection.execute(self._query).fetchnumpy()["kept"]
        except duckdb.InterruptException as error:
            raise DeadlineExceeded(
                f"the filter {self._shown()} took longer than {TIMEOUT_S:g} s for one block of rows"
            ) from error
        except duckdb.Error as error:
            raise self._refused(_first_line(error)) from error
        finally:
            watch.cancel()
        return np.asarray(found, np.bool_)

    def _parsed(self) -> dict[str, Any]:
        statement = f"SELECT 1 WHERE (\n{self._expression}\n)"
        asked = self._connection.execute("SELECT json_serialize_sql(?)", [statement])
        told = json.loads((asked.fetchone() or ("{}",))[0])
        if told.get("error"):
            raise self._refused(str(told.get("error_message")))
        if len(told["statements"]) != 1:
            raise self._refused("there is more than one")
        tree: dict[str, Any] = told["statements"][0]["node"]["where_clause"]
        return tree

    def _used(self, tree: dict[str, Any], names: dict[str, str]) -> list[str]:
        found: dict[str, None] = {}
        for node in _nodes(tree):
            kind = node.get("class")
            if kind in REFUSED:
                raise self._refused(f"it has {REFUSED[kind]}")
            if kind == "COLUMN_REF":
                name = node["column_names"][0].lower()
                if name in names:
                    found[names[name]] = None
                elif _is_unsteady(name):
                    raise self._refused(f"it depends on {name}")
        return list(found)

    def _check_functions(self, tree: dict[str, Any]) -> None:
        asked = self._connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' OR"
            " function_type NOT IN ('scalar', 'macro')"
        )
        refused = {name for (name,) in asked.fetchall()}
        asked = self._connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar'"
            " AND stability <> 'VOLATILE'"
        )
        refused -= {name for (name,) in asked.fetchall()}
        for node in _nodes(tree):
            name = str(node.get("function_name", "")).lower()
            if name in refused or _is_unsteady(name):
                raise self._refused(f"it uses {name}, which does not depend on the row alone")

    def _refused(self, reason: str) -> InvalidArgument:
        return InvalidArgument(
            f"the filter {self._shown()} cannot be used: {reason}; expected a SQL expression over"
            " the columns of one row, such as amount > 10 AND country = 'DE'"
        )

    def _shown(self) -> str:
        return shown([self._expression]).strip("[]")


def _fenced() -> "DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect(":memory:", config=CONFIG)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _is_unsteady(name: str) -> bool:
    return name.startswith("current") or name in UNSTEADY


def _empty(schema: "pa.Schema", columns: Sequence[str]) -> "pa.RecordBatch":
    import pyarrow as pa

    fields = [schema.field(name) for name in columns] or [schema.field(0)]
    return pa.RecordBatch.from_pylist([], pa.schema(fields))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
