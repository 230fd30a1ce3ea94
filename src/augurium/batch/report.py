"""The report of a batch job: what was read, what came out, how long it took, what it cost.

It is made of the results of partitions, in their order, and kept with the job as JSON.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from augurium.batch.cost import Cost, cost_of
from augurium.batch.distributions import Distribution, distribution_of
from augurium.batch.drift import Drift, drift_of
from augurium.batch.partition import InputPlan, PartitionResult, RejectedRow
from augurium.batch.partition_summary import SummarySum, read_summary
from augurium.core.errors import InvalidArgument
from augurium.statistics.profiles import Profile

STAGES = ("read", "prepare", "predict", "encode", "store")


class ReportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says of a job that is not in the results of its partitions.

    `wall_s` are seconds from its beginning to its end, pauses included;
    `per_core_hour` is what a core costs, 0 if that is not known.
    """

    job: str
    model: str
    version: int
    runtime: str
    output: str
    wall_s: float
    engine: str = "local"
    workers: int = 1
    batch_size: int = 0
    per_core_hour: float = 0.0


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows that were read: filtered out, set aside, or answered."""

    read: int = 0
    filtered: int = 0
    rejected: int = 0
    written: int = 0
    per_s: float = 0.0


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files with answers, and files with the rows that were set aside."""

    input_files: int = 0
    input_bytes: int = 0
    output_files: int = 0
    output_bytes: int = 0
    rejected_files: int = 0


class Stage(msgspec.Struct, frozen=True):
    """Seconds in which workers were busy with a stage, added up; stages overlap."""

    name: str
    seconds: float


class Nulls(msgspec.Struct, frozen=True):
    """In how many rows a feature was null or no number, and the share of all that were scored."""

    feature: str
    rows: int
    share: float


class Rejects(msgspec.Struct, frozen=True):
    """How many rows were set aside for a reason; `column` is empty where it was none."""

    kind: str
    column: str
    rows: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report; `docs/reference/batch-report.md` says each field."""

    format: int = 1
    job: str
    model: str
    version: int
    runtime: str
    engine: str
    workers: int
    batch_size: int
    output: str
    partitions: int
    wall_s: float
    core_s: float
    rows: Rows
    files: Files
    stages: tuple[Stage, ...]
    outputs: tuple[Distribution, ...]
    outputs_left_out: tuple[str, ...]
    nulls: tuple[Nulls, ...]
    rejects: tuple[Rejects, ...]
    rejected_examples: tuple[RejectedRow, ...]
    drift: Drift
    cost: Cost


def report_of(
    facts: ReportFacts,
    plan: InputPlan,
    results: Iterable[PartitionResult],
    profile: Profile | None = None,
) -> Report:
    """The report of a job whose partitions are all committed; `profile` is of its training data."""
    sums = _ResultSums(profile)
    for result in results:
        sums.add(result)
    summary = sums.summary
    trained = {output.bins.name: output for output in profile.outputs} if profile else {}
    return Report(
        job=facts.job,
        model=facts.model,
        version=facts.version,
        runtime=facts.runtime,
        engine=facts.engine,
        workers=facts.workers,
        batch_size=facts.batch_size,
        output=facts.output,
        partitions=sums.partitions,
        wall_s=facts.wall_s,
        core_s=summary.core_s,
        rows=sums.rows(facts.wall_s),
        files=sums.files(plan),
        stages=sums.stages(),
        outputs=tuple(
            distribution_of(counts, trained.get(name)) for name, counts in summary.outputs.items()
        ),
        outputs_left_out=tuple(summary.left_out),
        nulls=_nulls(plan, summary),
        rejects=sums.rejects(),
        rejected_examples=tuple(summary.examples),
        drift=drift_of(profile, summary.features, summary.answers),
        cost=cost_of(summary.core_s, sums.written, facts.per_core_hour),
    )


def read_report(content: Mapping[str, Any]) -> Report:
    """A report from what was kept with the job. Raises InvalidArgument for what is not one."""
    try:
        return msgspec.convert(content, Report)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the report cannot be read: {error}") from error


class _ResultSums:
    """What the results of partitions add up to."""

    def __init__(self, profile: Profile | None) -> None:
        self.summary = SummarySum.of_profile(profile)
        self.partitions = self.written = 0
        self._read = self._filtered = 0
        self._rejected: dict[str, int] = {}
        self._stage_s: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._output_files = self._output_bytes = self._rejected_files = 0

    def add(self, result: PartitionResult) -> None:
        self.partitions += 1
        self._read += result.read_rows
        self._filtered += result.filtered_rows
        self.written += result.written_rows
        for kind, rows in result.rejected.items():
            self._rejected[kind] = self._rejected.get(kind, 0) + rows
        for stage, seconds in result.stage_s.items():
            self._stage_s[stage] = self._stage_s.get(stage, 0.0) + seconds
        for file in result.files:
            self._rejected_files += file.rejected
            self._output_files += not file.rejected
            self._output_bytes += file.size_bytes
        self.summary.add(read_summary(result.summary))

    def rows(self, wall_s: float) -> Rows:
        return Rows(
            read=self._read,
            filtered=self._filtered,
            rejected=sum(self._rejected.values()),
            written=self.written,
            per_s=self._read / wall_s if wall_s > 0 else 0.0,
        )

    def files(self, plan: InputPlan) -> Files:
        return Files(
            input_files=plan.files,
            input_bytes=plan.total_bytes,
            output_files=self._output_files,
            output_bytes=self._output_bytes,
            rejected_files=self._rejected_files,
        )

    def stages(self) -> tuple[Stage, ...]:
        return tuple(Stage(name, seconds) for name, seconds in self._stage_s.items())

    def rejects(self) -> tuple[Rejects, ...]:
        """By kind and column, the most frequent first; results say how many there are of a kind."""
        found = dict(self.summary.rejected)
        for kind, rows in self._rejected.items():
            known = sum(count for (of, _), count in found.items() if of == kind)
            if rows > known:
                found[kind, ""] = found.get((kind, ""), 0) + rows - known
        ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(Rejects(kind, column, rows) for (kind, column), rows in ranked)


def _nulls(plan: InputPlan, summary: SummarySum) -> tuple[Nulls, ...]:
    """Features that had any first, the most first; the others in their order."""
    found = [
        Nulls(feature, rows, rows / summary.rows if summary.rows else 0.0)
        for feature in plan.sources
        for rows in (summary.nulls.get(feature, 0),)
    ]
    return tuple(sorted(found, key=lambda one: -one.rows))
