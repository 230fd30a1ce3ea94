"""What experiments are judged by: the records of predictions and of feedback, read on a thread."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from augurium.control.experiment_sums import experiment_sums, first_needed
from augurium.core.experiment_design import ExperimentDesign
from augurium.records.partitions import Partitions
from augurium.records.query import RecordQuery, RecordRange
from augurium.records.schema import Schema
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import ExperimentSums

# of all that is recorded, what a sum needs
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


class ExperimentRecords:
    """Sums of a model's records; `flushes` are asked before each reading."""

    def __init__(self, partitions: Partitions, *flushes: Flush) -> None:
        self._query = RecordQuery(partitions)
        self._flushes = flushes

    async def sums(
        self,
        model: str,
        design: ExperimentDesign,
        phases: Sequence[ExperimentPhase],
        until: float,
    ) -> ExperimentSums:
        """The sums until a time. Raises NotReady for a store that cannot be used."""
        for flush in self._flushes:
            await flush(model)
        return await asyncio.to_thread(self._read, model, design, phases, until)

    def _read(
        self,
        model: str,
        design: ExperimentDesign,
        phases: Sequence[ExperimentPhase],
        until: float,
    ) -> ExperimentSums:
        start = datetime.fromtimestamp(first_needed(design, phases[0].at), UTC)
        end = datetime.fromtimestamp(until, UTC)
        tables = {
            "predictions": RecordRange("predictions", model, PREDICTIONS, start, end),
            # what is told about a time may be received much later: all that there is since
            "feedback": RecordRange("feedback", model, FEEDBACK, start),
        }
        with self._query.open(tables, TIMEOUT_S) as connection:
            return experiment_sums(connection, design, phases, until)
