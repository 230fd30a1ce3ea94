"""What a worker has at hand for the partitions of its job. Imports pyarrow."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from augurium.batch.batch_size import USUAL_BATCH, find_batch_size
from augurium.batch.explanations import Explainer, load_contributions
from augurium.batch.model_files import LARGEST_BATCH
from augurium.batch.output_columns import columns_of_job
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import Partition, PartitionResult, RejectedRow
from augurium.batch.partition_rows import PartitionRows, open_partition
from augurium.batch.partition_run import PartitionRun
from augurium.batch.partition_writer import open_writer
from augurium.batch.row_batches import RowBatch, cut
from augurium.batch.row_counts import RowCounts
from augurium.batch.row_scoring import RowScoring
from augurium.batch.scorer import Scorer
from augurium.batch.stage_times import StageTimes
from augurium.batch.storage import Storage
from augurium.batch.summary_counter import SummaryCounter
from augurium.batch.worker_messages import Load, Measured, Note, Probe, Ran, Running
from augurium.core.errors import ModelFailed
from augurium.statistics.profiles import Profile

# of inputs and outputs of one batch
BATCH_BYTES = 64 * 1024 * 1024


class JobTools:
    """A loaded model, and ways to the files of its job. Raises ModelFailed if it does not load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._storage = Storage(load.storage, roots=load.roots)
        self._place = StoragePlace(self._storage, load.spec.output.path)
        self._profile = _profile(load.profile)
        self._explainer = _explainer(load)
        more = self._explainer.fields if self._explainer else ()
        self._columns = columns_of_job(load.spec, load.plan, load.signature, load.version, more)
        self._scorer = Scorer(load.model, load.signature, load.plan.sources)

    @property
    def _clock(self) -> Callable[[], float]:
        """What a batch costs; other work on this machine does not count, unless it is a device's
        time that is wanted.
        """
        return time.perf_counter if self._load.model.device.on_cuda else time.process_time

    def score(
        self,
        partition: Partition,
        batch_size: int,
        deadly: dict[int, str],
        tell: Callable[[Note], None],
    ) -> PartitionResult:
        """Scores a partition; its files wait. Raises what reading and writing do."""
        load, times = self._load, StageTimes()
        writer = open_writer(
            load.spec.output, self._place, load.job, load.token, partition.number, load.mark
        )
        summary = SummaryCounter(load.signature, load.plan, self._profile)
        counts = RowCounts(writer, summary, tell)
        scoring = RowScoring(
            self._scorer, self._explainer, times, partial(_told, tell), counts.reject
        )
        rows = self._rows(partition, counts.reject)
        counts.follow(rows)
        run = PartitionRun(
            rows, scoring, load.plan.kept, self._columns, writer, summary, counts, times
        )
        return run.run(partition.number, batch_size, deadly)

    def measure(self, partition: Partition, tell: Callable[[Note], None]) -> Measured:
        """Finds the batch size with the first rows of a partition."""
        block = next(iter(self._rows(partition, _forget)), None)
        if block is None or not len(block.rows):
            return Measured(USUAL_BATCH, 0.0)
        (first,) = cut([block], len(block.rows))
        widest = max(1, BATCH_BYTES // max(1, block.columns.nbytes // len(block.rows)))
        scoring = self._trying(tell)
        try:
            size, rate = find_batch_size(
                lambda size: scoring.run(first.slice(0, size)),
                min(len(first), widest, LARGEST_BATCH),
                self._clock,
            )
        except ModelFailed:
            # some of these rows will be set aside
            return Measured(min(USUAL_BATCH, widest), 0.0)
        return Measured(size, rate)

    def probe(self, order: Probe, tell: Callable[[Note], None]) -> None:
        """Scores some rows in halves, for nothing but to see whether this process lives on."""
        scoring = self._trying(tell)
        for batch in cut(self._rows(order.partition, _forget), LARGEST_BATCH):
            rows = batch.between(order.start, order.stop).without(order.deadly)
            for half in rows.halves() if len(rows) > 1 else (rows,):
                if len(half):
                    _try(scoring, half)

    def _trying(self, tell: Callable[[Note], None]) -> RowScoring:
        during = partial(_told, tell)
        return RowScoring(self._scorer, self._explainer, StageTimes(), during, _forget)

    def _rows(self, partition: Partition, reject: Callable[[RejectedRow], None]) -> PartitionRows:
        load = self._load
        return open_partition(
            partition, load.plan, load.spec.input, load.signature, self._storage, reject
        )


@contextmanager
def _told(tell: Callable[[Note], None], batch: RowBatch) -> Iterator[None]:
    """While the model runs on a batch, it is known on which."""
    tell(Running(int(batch.places[0]), int(batch.places[-1]) + 1))
    try:
        yield
    finally:
        tell(Ran())


def _try(scoring: RowScoring, batch: RowBatch) -> None:
    try:
        scoring.run(batch)
    except ModelFailed:
        # rows that are refused end no process
        return


def _forget(_: RejectedRow) -> None:
    """Rows that cannot be read are set aside when their partition is scored."""


def _profile(file: str | None) -> Profile | None:
    return msgspec.json.decode(Path(file).read_bytes(), type=Profile) if file else None


def _explainer(load: Load) -> Explainer | None:
    if not load.spec.explain:
        return None
    (spec,) = load.signature.inputs
    return Explainer(load_contributions(load.model), spec.features)
