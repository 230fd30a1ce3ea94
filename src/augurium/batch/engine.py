"""What a job expects of whoever scores its partitions: processes of this machine, or a cluster."""

from collections.abc import Sequence
from typing import Protocol

from augurium.batch.job_plan import JobPlan
from augurium.batch.partition import Partition, PartitionResult
from augurium.batch.worker_messages import Counted


class Desk(Protocol):
    """Where an engine brings what it has. All of it raises what ends the job."""

    async def take(self, result: PartitionResult) -> None:
        """Makes a partition done for good; it may have been done before."""
        ...

    def hear(self, number: int, counted: Counted) -> None:
        """A partition is so far."""
        ...

    async def warn(self, text: str) -> None:
        """Something that a person may want to know."""
        ...


class Engine(Protocol):
    """Scores partitions. Its pool knows what is to be loaded, see `WorkerPool.prepare`."""

    @property
    def workers(self) -> int:
        """How many partitions are scored at a time."""
        ...

    async def score(self, plan: JobPlan, partitions: Sequence[Partition], desk: Desk) -> None:
        """Brings the result of every partition to the desk. Cancelled, it leaves nothing that still
        scores.

        Raises what the desk raises, and what went wrong.
        """
        ...
