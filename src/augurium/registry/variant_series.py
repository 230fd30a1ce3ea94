"""The port of the time series: what variants did, by steps of a minute, an hour and a day."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
STEPS_S = (MINUTE_S, HOUR_S, DAY_S)


class SeriesRow(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one variant over the step that begins `at`, in seconds of the epoch.

    `source` is who counted: one life of one control process. What several sources counted in a step
    adds up, and each writes its own row again as it grows. `latency` is a packed `LogHistogram`
    whose values add up to `latency_s`.
    """

    model: str
    version: int
    variant: str
    step_s: int
    at: int
    source: str
    outcomes: dict[str, int]
    slo_breaches: int
    degraded: int
    latency: bytes
    latency_s: float
    score_count: int
    score_sum: float
    score_squares: float


class VariantSeries(Protocol):
    """Rows kept with the registry. Every method blocks; every change is one transaction.

    Raises NotReady while the database does not answer, and InsufficientStorage when it is full.
    """

    def write(self, rows: Sequence[SeriesRow]) -> None:
        """Keeps rows; each takes the place of the one of the same variant, step and source."""
        ...

    def read(self, model: str, step_s: int, start: int, end: int) -> list[SeriesRow]:
        """The rows of steps that begin from `start` until before `end`, by time, version, variant
        and source.
        """
        ...

    def drop(self, step_s: int, before: int) -> int:
        """Forgets rows of steps that begin earlier; how many those were."""
        ...
