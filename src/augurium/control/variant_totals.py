"""The sums of a variant as people and programs read them."""

from typing import Any

import msgspec

from augurium.serving.variant_metrics import VariantMetrics
from augurium.statistics.proportions import wilson

MILLISECONDS = 1e3


class ErrorRate(msgspec.Struct, frozen=True):
    """The share of requests that failed, and between which the true one lies with 95 % confidence
    (Wilson 1927).
    """

    rate: float
    low: float
    high: float


class VariantTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one variant of a version; the empty name is for what no policy chose.

    `mistakes` are requests with an error that their caller made; `errors` the other failures, and
    `error_rate` their share of the requests without mistakes. `outcomes` are all requests by `ok`
    or error kind. Times are of callers who waited: those of answers, of requests that ran out of
    time, or were left; `slo_breaches` of them took longer than the model's objective. `degraded`
    requests were answered by the fallback. The score is the first number of an answer; its
    `score_squares` are the sum of its squares.
    """

    version: int
    variant: str
    requests: int
    mistakes: int
    errors: int
    error_rate: ErrorRate | None
    outcomes: dict[str, int]
    slo_breaches: int
    degraded: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float | None
    score_count: int
    score_sum: float
    score_squares: float
    score_mean: float | None


def totals_of(version: int, variant: str, metrics: VariantMetrics) -> VariantTotals:
    """The sums of a variant."""
    return VariantTotals(**fields_of(version, variant, metrics))


def fields_of(version: int, variant: str, metrics: VariantMetrics) -> dict[str, Any]:
    """The fields of `VariantTotals`."""
    requests, mistakes, errors = metrics.requests, metrics.mistakes, metrics.errors
    waited, scored = metrics.latency.count, metrics.score_count
    return {
        "version": version,
        "variant": variant,
        "requests": requests,
        "mistakes": mistakes,
        "errors": errors,
        "error_rate": error_rate(errors, requests - mistakes),
        "outcomes": metrics.outcomes,
        "slo_breaches": metrics.slo_breaches,
        "degraded": metrics.degraded,
        "p50_ms": _milliseconds(metrics.latency.quantile(0.5)),
        "p90_ms": _milliseconds(metrics.latency.quantile(0.9)),
        "p99_ms": _milliseconds(metrics.latency.quantile(0.99)),
        "mean_ms": _milliseconds(metrics.latency.total / waited if waited else None),
        "score_count": scored,
        "score_sum": metrics.score_sum,
        "score_squares": metrics.score_squares,
        "score_mean": metrics.score_sum / scored if scored else None,
    }


def error_rate(errors: int, requests: int) -> ErrorRate | None:
    """The rate with its Wilson interval; None where nothing was asked."""
    if not requests:
        return None
    return ErrorRate(errors / requests, *wilson(errors, requests))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * MILLISECONDS, 4)
