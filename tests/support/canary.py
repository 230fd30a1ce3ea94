"""Ticks of arms that behave as one says."""

from augurium.core.arm_counts import ArmCounts
from augurium.statistics.log_histogram import LogHistogram
from augurium.traffic.canary_evidence import CanaryTick


def arm(
    requests: int, errors: int = 0, slow: int = 0, seconds: float = 0.01, score: float = 0.5
) -> ArmCounts:
    """So many requests, of which some failed and some took a second."""
    latency = LogHistogram()
    for value, count in ((seconds, requests - slow), (1.0, slow)):
        if count:
            latency.observe(value)
            latency.counts[max(latency.counts)] = count
    return ArmCounts(
        requests,
        errors,
        slow,
        0,
        latency.counts,
        score_count=requests,
        score_sum=requests * score,
        score_squares=requests * (score * score + 0.01),
    )


def tick(
    candidate: ArmCounts, baseline: ArmCounts | None = None, seconds: float = 10
) -> CanaryTick:
    """A tick of both arms; the baseline had 19 times as many requests if nothing else is said."""
    other = arm(19 * candidate.requests) if baseline is None else baseline
    return CanaryTick(seconds, other, candidate)
