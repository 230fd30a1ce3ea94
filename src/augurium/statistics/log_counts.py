"""Counts of values by their size: bins of equal ratio, of which only those that have something
exist. They add up.
"""

import math

import msgspec


class LogCounts(msgspec.Struct):
    """`counts[i]` values were from `growth**i` to below `growth**(i+1)`, `zeros` 0 or below."""

    growth: float = 1.05
    counts: dict[int, int] = {}
    zeros: int = 0

    def observe(self, value: float, times: int = 1) -> None:
        """One more value, or several like it; one that is not finite is left out."""
        if value <= 0:
            self.zeros += times
        elif value < math.inf:
            place = math.floor(math.log(value) / math.log(self.growth))
            self.counts[place] = self.counts.get(place, 0) + times

    @property
    def count(self) -> int:
        """How many there are."""
        return self.zeros + sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """What `share` of the values are at most, the middle of its bin; None without any."""
        wanted = share * self.count
        if not self.count:
            return None
        below = self.zeros
        if below and below >= wanted:
            return 0.0
        for place in sorted(self.counts):
            below += self.counts[place]
            if below >= wanted:
                break
        return float(self.growth ** (place + 0.5))

    def add(self, other: "LogCounts") -> None:
        """Adds others with the same growth to these."""
        self.zeros += other.zeros
        for place, count in other.counts.items():
            self.counts[place] = self.counts.get(place, 0) + count
