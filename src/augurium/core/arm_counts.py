"""What a judge of a rollout knows of one arm: sums that add up over ticks."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct


class ArmCounts(Struct, frozen=True):
    """What one arm of a rollout did for some time.

    `requests` are without those in which the caller made a mistake, `errors` those of them that
    failed. `latency` are the counts of a `LogHistogram`, by bin, and `slo_breaches` those that took
    longer than the model's objective. Scores are the first numbers of answers.
    """

    requests: int = 0
    errors: int = 0
    slo_breaches: int = 0
    degraded: int = 0
    latency: Mapping[int, int] = {}
    latency_total_s: float = 0.0
    score_count: int = 0
    score_sum: float = 0.0
    score_squares: float = 0.0

    def merged(self, other: "ArmCounts") -> "ArmCounts":
        """Both together."""
        return ArmCounts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.slo_breaches + other.slo_breaches,
            self.degraded + other.degraded,
            dict(Counter(self.latency) + Counter(other.latency)),
            self.latency_total_s + other.latency_total_s,
            self.score_count + other.score_count,
            self.score_sum + other.score_sum,
            self.score_squares + other.score_squares,
        )
