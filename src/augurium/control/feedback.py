"""Feedback: what became of predictions, durable before it is answered, compacted beside that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from augurium.control.feedback_commits import FeedbackCommits
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, NotFound, Overloaded
from augurium.core.rollout_settings import FeedbackSettings
from augurium.feedback.bulk_load import BulkLoad
from augurium.feedback.compaction import Compaction
from augurium.feedback.counts import FeedbackCounts
from augurium.feedback.journal import Journal
from augurium.feedback.last_values import ALWAYS, last_values
from augurium.feedback.row import FeedbackRow, RowCheck
from augurium.feedback.segments import FeedbackSegments
from augurium.records.partitions import Partitions
from augurium.registry.registry import Registry

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EVERY_S = 5.0
SWEEP_EVERY_S = 3600.0
# each holds a block of rows in memory
MOST_LOADS = 4
log = structlog.get_logger()


class Feedback:
    """Takes, keeps and gives the outcomes of predictions; `counts` since the process began."""

    def __init__(
        self,
        journal: Journal,
        partitions: Partitions,
        registry: Registry,
        settings: FeedbackSettings,
        clock: Clock,
    ) -> None:
        self.counts = FeedbackCounts()
        self._journal = journal
        self._partitions = partitions
        self._registry = registry
        self._clock = clock
        self._segments = FeedbackSegments(partitions)
        self._commits = FeedbackCommits(journal, clock)
        self._compaction = Compaction(journal, self._segments, settings, clock)
        self._compacting = asyncio.Lock()
        self._loads = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Compacts from now on, beside everything else."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finishes what was taken, and takes no more."""
        await self._commits.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def check(self, sees: Callable[[str], bool]) -> RowCheck:
        """What checks the rows of a caller, who sees some of the models; it may block."""
        return RowCheck(
            lambda model: sees(model) and self._knows(model), self._clock.now().timestamp()
        )

    async def add(self, rows: Sequence[FeedbackRow]) -> None:
        """Returns when the rows are durable. Raises as `FeedbackCommits.add`."""
        if rows:
            await self._commits.add(rows)
            self.counts.count(rows)

    @contextlib.asynccontextmanager
    async def loading(self) -> AsyncIterator[BulkLoad]:
        """A load of many rows, which is abandoned if the block raises. Raises Overloaded."""
        if self._loads >= MOST_LOADS:
            raise Overloaded(f"{self._loads} bulk loads of feedback are going on; try again later")
        self._loads += 1
        load = BulkLoad(self._journal, self._segments, self._clock)
        try:
            yield load
        except BaseException:
            with contextlib.suppress(AuguriumError):
                await asyncio.to_thread(load.abandon)
            raise
        finally:
            self._loads -= 1

    async def flush(self, model: str | None = None) -> int:
        """Puts all rows of the journal into segments, and says how many there were; none if it is
        done for a `model` that has no rows there.

        Raises NotReady and InsufficientStorage.
        """
        async with self._compacting:
            return await asyncio.to_thread(self._flush, model)

    @contextlib.contextmanager
    def last_values(
        self, model: str, start: float = ALWAYS[0], end: float = ALWAYS[1]
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection with a view `last_values`, see there; it blocks.

        Raises NotFound for a model that is not known, and as `RecordDatabase.connection`.
        """
        self._registry.model(model)
        with last_values(self._partitions, self._journal.kept(model), start, end) as connection:
            yield connection

    def _flush(self, model: str | None) -> int:
        if model is not None and not self._journal.kept(model).rows:
            return 0
        return self._compaction.run(everything=True)

    def forget_purged(self) -> None:
        """Removes the feedback of models that are purged; it blocks."""
        for model in sorted(self._journal.models()):
            if not self._knows(model):
                self._compaction.forget(model)

    def _knows(self, model: str) -> bool:
        try:
            self._registry.model(model)
        except NotFound:
            return False
        return True

    async def _run(self) -> None:
        swept_at = -SWEEP_EVERY_S
        while True:
            try:
                async with self._compacting:
                    await asyncio.to_thread(self._compaction.run)
                if self._clock.monotonic() - swept_at >= SWEEP_EVERY_S:
                    swept_at = self._clock.monotonic()
                    await asyncio.to_thread(self._sweep)
            except AuguriumError as error:
                # what was not moved stays where it is, and can be read there
                log.warning("feedback not compacted", reason=str(error))
            await asyncio.sleep(EVERY_S)

    def _sweep(self) -> None:
        self.forget_purged()
        self._compaction.sweep()
