"""Predictions and what became of them, as the records of a node have them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from augurium.records.partitions import Partitions
from augurium.records.query import RecordQuery, RecordRange
from augurium.records.schema import Schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# of all that is recorded, what a judgement needs
PREDICTIONS: Schema = {
    "at": "number",
    "prediction_id": "text",
    "variant": "text",
    "unit": "text",
    "score": "number",
    "seconds": "number",
    "outcome": "text",
}
FEEDBACK: Schema = {
    "seq": "integer",
    "at": "number",
    "prediction_id": "text",
    "unit": "text",
    "name": "text",
    "feedback_id": "text",
    "value": "number",
}
TIMEOUT_S = 300.0
# brings what is still on its way into the records of a model
Flush = Callable[[str], Awaitable[object]]
Found = TypeVar("Found")


class RecordedOutcomes:
    """Opens both as tables, on a thread; `flushes` are asked before each reading."""

    def __init__(self, partitions: Partitions, *flushes: Flush) -> None:
        self._query = RecordQuery(partitions)
        self._flushes = flushes

    async def read(
        self,
        model: str,
        ask: Callable[["DuckDBPyConnection"], Found],
        start: float,
        end: float | None = None,
    ) -> Found:
        """What `ask` finds in the tables `predictions` and `feedback` of a model.

        They have the hours from `start` on, in seconds since 1970, the first of them until `end`.
        Raises as `RecordQuery.open` and as the flushes do.
        """
        for flush in self._flushes:
            await flush(model)
        since = datetime.fromtimestamp(start, UTC)
        until = None if end is None else datetime.fromtimestamp(end, UTC)
        tables = {
            "predictions": RecordRange("predictions", model, PREDICTIONS, since, until),
            # what is told about a time may be received much later: all that there is since
            "feedback": RecordRange("feedback", model, FEEDBACK, since),
        }

        def asked() -> Found:
            with self._query.open(tables, TIMEOUT_S) as connection:
                return ask(connection)

        return await asyncio.to_thread(asked)
