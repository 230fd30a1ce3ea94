"""What is counted of one variant of a model: sums that add up over engines and over time.

A variant is what a traffic policy calls a version; what no policy chose has the empty name.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from augurium.core.errors import FAULTS, ErrorKind
from augurium.core.tensors import Array
from augurium.statistics.log_histogram import LogHistogram

OK = "ok"
# those that took the time of their caller: what is refused at once or breaks off says nothing of it
WAITED = frozenset({OK, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.CANCELLED})
# what the caller did: it says nothing of the variant. A caller who left may have had enough of it
MISTAKES = frozenset(ErrorKind) - FAULTS - {ErrorKind.CANCELLED}
# whose square is still a number
LARGEST_SCORE = 1e150


class VariantMetrics(msgspec.Struct):
    """The sums of one variant.

    `outcomes` counts requests by `ok` or error kind, `degraded` those that the fallback answered.
    `latency` is how long callers waited, of requests that were answered, ran out of time or were
    left by their caller, and `slo_breaches` counts those of them that took longer than the model's
    objective. The score is the first number of the first output of the first row, where that is a
    number: how often there was one, its sum and the sum of its squares.
    """

    outcomes: dict[str, int] = {}
    slo_breaches: int = 0
    degraded: int = 0
    latency: LogHistogram = msgspec.field(default_factory=LogHistogram)
    score_count: int = 0
    score_sum: float = 0.0
    score_squares: float = 0.0

    def ended(self, outcome: str, seconds: float, slo_s: float) -> None:
        """Counts a request that has ended: with `ok` or an error kind."""
        outcomes = self.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if outcome in WAITED:
            self.latency.observe(seconds)
            if seconds > slo_s:
                self.slo_breaches += 1

    def scored(self, score: float) -> None:
        """Counts the score of an answer; what is no number, or too large to square, is left out."""
        if -LARGEST_SCORE < score < LARGEST_SCORE:
            self.score_count += 1
            self.score_sum += score
            self.score_squares += score * score

    def ended_well(self, seconds: Array, scores: Sequence[float], slo_s: float) -> None:
        """Counts requests that were answered, by their seconds, and the scores of their answers: as
        `ended` and `scored` do, all at once.
        """
        self.outcomes[OK] = self.outcomes.get(OK, 0) + len(seconds)
        self.latency.observe_all(seconds)
        self.slo_breaches += int(np.count_nonzero(seconds > slo_s))
        for score in scores:
            self.scored(score)

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.outcomes.values())

    @property
    def mistakes(self) -> int:
        """Requests that say nothing of the variant, because their caller made a mistake."""
        return sum(count for kind, count in self.outcomes.items() if kind in MISTAKES)

    @property
    def errors(self) -> int:
        """Requests that failed, and not by a fault of their caller."""
        return sum(count for kind, count in self.outcomes.items() if kind in FAULTS)

    def add(self, other: "VariantMetrics") -> None:
        """Adds other sums to these."""
        for kind, count in other.outcomes.items():
            self.outcomes[kind] = self.outcomes.get(kind, 0) + count
        self.slo_breaches += other.slo_breaches
        self.degraded += other.degraded
        self.latency.add(other.latency)
        self.score_count += other.score_count
        self.score_sum += other.score_sum
        self.score_squares += other.score_squares

    def since(self, earlier: "VariantMetrics") -> "VariantMetrics":
        """What was counted after these were as `earlier`."""
        before = earlier.outcomes
        return VariantMetrics(
            {
                kind: more
                for kind, count in self.outcomes.items()
                if (more := count - before.get(kind, 0)) > 0
            },
            max(0, self.slo_breaches - earlier.slo_breaches),
            max(0, self.degraded - earlier.degraded),
            self.latency.since(earlier.latency),
            max(0, self.score_count - earlier.score_count),
            self.score_sum - earlier.score_sum,
            self.score_squares - earlier.score_squares,
        )


# by the name of the variant
Variants = dict[str, VariantMetrics]


def add_variants(variants: Variants, others: Variants) -> None:
    """Adds the sums of others to these."""
    for name, metrics in others.items():
        variants.setdefault(name, VariantMetrics()).add(metrics)
