"""What the batch jobs of this node did, in numbers that only grow."""

from collections import Counter
from collections.abc import Sequence

from augurium.registry.batch_records import BatchJob


class BatchCounts:
    """Sums over jobs that `holder` held, since this process began.

    `rows` count by model and what became of them (`written`, `filtered`, `rejected`), `rejected` by
    model and reason, `partitions` by model, `seconds` by model and stage, `ended` by model and
    state; `deaths` are processes that ended without a word. `states` are the jobs of the whole
    registry that have not ended, as last seen, and `rates` rows per second by model.
    """

    def __init__(self, holder: str) -> None:
        self.rows: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.partitions: Counter[str] = Counter()
        self.seconds: dict[tuple[str, str], float] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.deaths = 0
        self.states: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        self._holder = holder
        self._known: dict[str, BatchJob] = {}

    @property
    def followed(self) -> frozenset[str]:
        """The jobs whose end is still to be counted."""
        return frozenset(self._known)

    def follow(self, job: BatchJob) -> None:
        """Counts what a job does from here on; what it did before was counted by another."""
        self._known.setdefault(job.id, job)

    def take(self, standing: Sequence[BatchJob], departed: Sequence[BatchJob]) -> None:
        """Counts what is new: of the jobs that have not ended, and of those that just did."""
        self.states = Counter(job.state for job in standing)
        ours = [job for job in standing if job.id in self._known or job.holder == self._holder]
        self.rates = {}
        for job in ours:
            self.follow(job)
            if job.state == "running":
                rate = self.rates.get(job.model, 0.0)
                self.rates[job.model] = rate + job.progress.rows_per_s
        for job in (*ours, *departed):
            self._grow(self._known[job.id], job)
        self.ended.update((job.model, job.state) for job in departed if job.ended)
        # of very many that wait some are in no list
        going_on = [*ours, *(job for job in departed if not job.ended)]
        self._known = {job.id: self._further(job) for job in going_on}

    def _further(self, job: BatchJob) -> BatchJob:
        """Whichever is further: one that is taken over repeats what was not committed."""
        known = self._known[job.id]
        return known if known.progress.read_rows > job.progress.read_rows else job

    def _grow(self, before: BatchJob, job: BatchJob) -> None:
        model, now, then = job.model, job.progress, before.progress
        self.partitions[model] += max(0, job.committed - before.committed)
        for what, count, earlier in (
            ("written", now.written_rows, then.written_rows),
            ("filtered", now.filtered_rows, then.filtered_rows),
            ("rejected", sum(now.rejected.values()), sum(then.rejected.values())),
        ):
            self.rows[model, what] += max(0, count - earlier)
        for reason, count in now.rejected.items():
            self.rejected[model, reason] += max(0, count - then.rejected.get(reason, 0))
        for stage, seconds in now.stage_s.items():
            more = max(0.0, seconds - then.stage_s.get(stage, 0.0))
            self.seconds[model, stage] = self.seconds.get((model, stage), 0.0) + more
