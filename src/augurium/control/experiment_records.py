"""What experiments are judged by: sums of the records of predictions and of feedback."""

from collections.abc import Sequence

from augurium.control.experiment_sums import experiment_sums, first_needed
from augurium.control.recorded_outcomes import Flush, RecordedOutcomes
from augurium.core.experiment_design import ExperimentDesign
from augurium.records.partitions import Partitions
from augurium.traffic.experiment_result import ExperimentPhase
from augurium.traffic.variant_sums import ExperimentSums


class ExperimentRecords:
    """Sums of a model's records; `flushes` are asked before each reading."""

    def __init__(self, partitions: Partitions, *flushes: Flush) -> None:
        self._outcomes = RecordedOutcomes(partitions, *flushes)

    async def sums(
        self,
        model: str,
        design: ExperimentDesign,
        phases: Sequence[ExperimentPhase],
        until: float,
    ) -> ExperimentSums:
        """The sums until a time. Raises NotReady for a store that cannot be used."""
        return await self._outcomes.read(
            model,
            lambda connection: experiment_sums(connection, design, phases, until),
            first_needed(design, phases[0].at),
            until,
        )
