"""What is known of a shadow: counts and sums of its answers beside those of another version.

They add up, over requests, engines and restarts, so that the whole is as if one had counted it.
Everything is bounded: labels beyond the first `MOST_LABELS` count together, and examples are those
with the largest differences.
"""

from heapq import nlargest

import msgspec

from augurium.core.shadow import MOST_EXAMPLES, Comparison
from augurium.statistics.log_counts import LogCounts

MOST_LABELS = 20
# of differences: four bins a decade
DECADE_QUARTER = 10**0.25
# of one shadow, beside different versions and with different tolerances
MOST_PAIRS = 16


def _differences() -> LogCounts:
    return LogCounts(DECADE_QUARTER)


class OutputSums(msgspec.Struct):
    """One output. `unlike` counts rows that cannot be compared: `missing`, `shape` or `type`.

    Of numbers there are `values`, with the sum and the largest of their differences, absolute and
    in parts of the baseline's number; `not_finite` are those where one is NaN or infinite and the
    other is not the same. `labels` counts pairs, the baseline's first, `other_labels` those beyond
    the first; `tau` and `overlap` are sums over `ranked` rows: Kendall's tau-b, and the share of
    the highest items that are the same.
    """

    rows: int = 0
    differing: int = 0
    unlike: dict[str, int] = {}
    values: int = 0
    total: float = 0.0
    largest: float = 0.0
    largest_relative: float = 0.0
    not_finite: int = 0
    differences: LogCounts = msgspec.field(default_factory=_differences)
    labels: dict[str, dict[str, int]] = {}
    other_labels: int = 0
    ranked: int = 0
    tau: float = 0.0
    overlap: float = 0.0

    def count_labels(self, baseline: str, shadow: str, times: int) -> None:
        """So many rows more with this pair of labels."""
        found = self.labels.get(baseline)
        if found is None and len(self.labels) < MOST_LABELS:
            found = self.labels[baseline] = {}
        if found is None or (shadow not in found and len(found) >= MOST_LABELS):
            self.other_labels += times
        else:
            found[shadow] = found.get(shadow, 0) + times

    def add(self, other: "OutputSums") -> None:
        """Adds other sums of the same output to these."""
        self.rows += other.rows
        self.differing += other.differing
        add_counts(self.unlike, other.unlike)
        self.values += other.values
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        self.largest_relative = max(self.largest_relative, other.largest_relative)
        self.not_finite += other.not_finite
        self.differences.add(other.differences)
        for baseline, found in other.labels.items():
            for shadow, times in found.items():
                self.count_labels(baseline, shadow, times)
        self.other_labels += other.other_labels
        self.ranked += other.ranked
        self.tau += other.tau
        self.overlap += other.overlap


class Example(msgspec.Struct, frozen=True):
    """A row that differs: when, by how much and in which output; its input and both answers as
    JSON, shortened where they are long.
    """

    difference: float
    at: float
    output: str
    input: str
    baseline: str
    shadow: str
    request_id: str = ""

    @property
    def rank(self) -> tuple[float | str, ...]:
        """What is kept before what: the largest difference, of equal ones the latest; all values
        count, so that it does not matter which sums are added first.
        """
        return msgspec.structs.astuple(self)


class ShadowSums(msgspec.Struct):
    """A shadow beside the version `baseline`, compared as `compare` says.

    `answered` copies were answered by both. `failed` are copies that failed where the baseline
    answered, by error kind, `rescued` those that were answered where it failed, by its error kind.
    `dropped` are requests of which no copy was made, by reason. Rows are those of answered copies,
    and the seconds those from the first to the last step of each; `since` and `until` are of the
    wall clock.
    """

    baseline: int
    compare: Comparison = Comparison()
    dropped: dict[str, int] = {}
    answered: int = 0
    failed: dict[str, int] = {}
    rescued: dict[str, int] = {}
    both_failed: int = 0
    rows: int = 0
    agreeing: int = 0
    outputs: dict[str, OutputSums] = {}
    baseline_s: LogCounts = msgspec.field(default_factory=LogCounts)
    shadow_s: LogCounts = msgspec.field(default_factory=LogCounts)
    examples: list[Example] = []
    since: float = 0.0
    until: float = 0.0

    @property
    def copied(self) -> int:
        """The copies that have ended."""
        failed, rescued = sum(self.failed.values()), sum(self.rescued.values())
        return self.answered + failed + rescued + self.both_failed

    def ended(self, baseline: str, shadow: str) -> None:
        """Counts a copy that has ended; both `ok` or an error kind."""
        if baseline == shadow == "ok":
            self.answered += 1
        elif baseline == "ok":
            self.failed[shadow] = self.failed.get(shadow, 0) + 1
        elif shadow == "ok":
            self.rescued[baseline] = self.rescued.get(baseline, 0) + 1
        else:
            self.both_failed += 1

    def drop(self, reason: str, times: int = 1) -> None:
        """Counts requests of which no copy was made."""
        self.dropped[reason] = self.dropped.get(reason, 0) + times

    def seen(self, at: float) -> None:
        """Something was counted at this time."""
        self.since = min(self.since or at, at)
        self.until = max(self.until, at)

    def keep(self, examples: list[Example], most: int = MOST_EXAMPLES) -> None:
        """Keeps those with the largest differences."""
        self.examples = largest([*self.examples, *examples], most)

    def add(self, other: "ShadowSums") -> None:
        """Adds other sums of the same pair to these."""
        for name in ("dropped", "failed", "rescued"):
            add_counts(getattr(self, name), getattr(other, name))
        self.answered += other.answered
        self.both_failed += other.both_failed
        self.rows += other.rows
        self.agreeing += other.agreeing
        for output, sums in other.outputs.items():
            self.outputs.setdefault(output, OutputSums()).add(sums)
        self.baseline_s.add(other.baseline_s)
        self.shadow_s.add(other.shadow_s)
        self.keep(other.examples)
        if other.until:
            self.seen(other.since)
            self.seen(other.until)


def largest(examples: list[Example], most: int = MOST_EXAMPLES) -> list[Example]:
    """Those with the largest differences, the largest first."""
    return nlargest(most, examples, key=lambda example: example.rank)


def sums_of(pairs: list[ShadowSums], baseline: int, compare: Comparison) -> ShadowSums:
    """The sums of a pair among those of one shadow; begun where there are none yet. Of too many
    pairs the one that was counted longest ago goes.
    """
    for sums in pairs:
        if sums.baseline == baseline and sums.compare == compare:
            return sums
    if len(pairs) >= MOST_PAIRS:
        pairs.remove(min(pairs, key=lambda sums: sums.until))
    sums = ShadowSums(baseline, compare)
    pairs.append(sums)
    return sums


def add_pairs(pairs: list[ShadowSums], others: list[ShadowSums]) -> None:
    """Adds the sums of one shadow to others of it."""
    for other in others:
        sums_of(pairs, other.baseline, other.compare).add(other)


def add_counts(counts: dict[str, int], others: dict[str, int]) -> None:
    """Adds counts to others."""
    for name, more in others.items():
        counts[name] = counts.get(name, 0) + more
