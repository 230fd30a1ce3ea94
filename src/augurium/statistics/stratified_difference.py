"""How many more of the requests fail in the candidate than in the baseline, over many ticks.

Each tick is compared with itself (Mantel and Haenszel 1959), so that neither what strikes both arms
nor changing shares of the requests bias the sum. As in Wilson's interval, a limit is a difference
whose own variance would leave it that far away: where nothing failed yet, that is not zero.
"""

import math

import msgspec

from augurium.statistics.confidence_sequences import one_sided_half_width

# requests of the candidate at which the limit is to be nearest
PLANNED = 20_000.0


class StratifiedDifference(msgspec.Struct, frozen=True):
    """Sums over ticks in which both arms were asked.

    `n` counts the candidate's requests; `events` and `expected` are those of the candidate, and
    those that it had had at the rate of the baseline, with the same weights. A rate of one of them
    gives the sum `spread` times as much variance; that of the other has given it `variance`.
    """

    n: float = 0.0
    weight: float = 0.0
    events: float = 0.0
    expected: float = 0.0
    spread: float = 0.0
    variance: float = 0.0

    def updated(
        self, events: float, n: float, baseline_events: float, baseline_n: float
    ) -> "StratifiedDifference":
        """After a tick; one in which only one arm was asked says nothing."""
        if not n or not baseline_n:
            return self
        both = n + baseline_n
        weight, unlike = n * baseline_n / both, n / both
        return StratifiedDifference(
            self.n + n,
            self.weight + weight,
            self.events + events * (1 - unlike),
            self.expected + baseline_events * unlike,
            self.spread + weight * (1 - unlike),
            self.variance + baseline_events * unlike**2,
        )

    @property
    def value(self) -> float:
        """The difference of the rates; 0 where nothing is known."""
        return (self.events - self.expected) / self.weight if self.weight else 0.0

    @property
    def baseline(self) -> float:
        """The rate of the baseline; 0 where nothing is known."""
        return self.expected / self.weight if self.weight else 0.0

    def interval(self, alpha: float) -> tuple[float, float]:
        """Limits of the difference, each of which holds with 1 - alpha at all times together.

        The distance of a limit from the value is `level` standard errors of a sum in which the
        candidate has the rate of that limit, which makes both of them roots of a quadratic.
        """
        if not self.weight:
            return -1.0, 1.0
        level = float(one_sided_half_width(1.0, self.n, PLANNED, alpha)) ** 2 / self.weight**2
        middle = self.value + level * self.spread / 2
        variance = level * (self.spread * (self.baseline + self.value) + self.variance)
        width = math.sqrt((level * self.spread / 2) ** 2 + variance)
        return max(-1.0, middle - width), min(1.0, middle + width)
