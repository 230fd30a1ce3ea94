"""A histogram with bins of equal ratio, kept sparse: it costs nearly nothing to count in, and those
of several processes add up exactly.
"""

from collections.abc import Iterable
from itertools import chain, pairwise
from math import log

import msgspec
import numpy as np

from augurium.core.tensors import Array

# those of `quantiles.LogBins`, whose module would bring SciPy into every engine
LOW_S = 1e-5
HIGH_S = 1e3
GROWTH = 1.02
_PER_BIN = 1 / log(GROWTH)
# ceil(log(HIGH_S / LOW_S) / log(GROWTH)) bins, counted from 0
LAST_BIN = 930


class LogHistogram(msgspec.Struct):
    """Seconds by bin: `counts[i]` counts values from `LOW_S * GROWTH**i` up to the next, the first
    bin all below and the last all above; `total` is their sum.
    """

    counts: dict[int, int] = {}
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one value."""
        place = int(log(seconds / LOW_S) * _PER_BIN) if seconds > LOW_S else 0
        if place > LAST_BIN:
            place = LAST_BIN
        counts = self.counts
        counts[place] = counts.get(place, 0) + 1
        self.total += seconds

    def observe_all(self, seconds: Array) -> None:
        """Counts many values, of shape (values,)."""
        places = np.log(np.maximum(seconds, LOW_S) / LOW_S) * _PER_BIN
        found = np.bincount(np.minimum(places, LAST_BIN).astype(np.intp))
        counts = self.counts
        for place in np.flatnonzero(found).tolist():
            counts[place] = counts.get(place, 0) + int(found[place])
        self.total += float(seconds.sum())

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def add(self, other: "LogHistogram") -> None:
        """Adds another histogram to this one."""
        counts = self.counts
        for place, count in other.counts.items():
            counts[place] = counts.get(place, 0) + count
        self.total += other.total

    def since(self, earlier: "LogHistogram") -> "LogHistogram":
        """What was counted after this was as `earlier`."""
        before = earlier.counts
        counts = {
            place: more
            for place, count in self.counts.items()
            if (more := count - before.get(place, 0)) > 0
        }
        return LogHistogram(counts, self.total - earlier.total if counts else 0.0)

    def quantile(self, share: float) -> float | None:
        """The value below which this share lies, to 1 %; None where there is none."""
        wanted, seen = share * self.count, 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen >= wanted:
                return middle(place)
        return None

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """How many values are at most each of the ascending bounds, to 1 % of the bound."""
        found = []
        places = iter(sorted(self.counts))
        seen, place = 0, next(places, None)
        for bound in bounds:
            while place is not None and middle(place) <= bound:
                seen += self.counts[place]
                place = next(places, None)
            found.append(seen)
        return found


def middle(place: int) -> float:
    """The geometric middle of a bin, in seconds."""
    return float(LOW_S * GROWTH ** (place + 0.5))


def packed(histogram: LogHistogram) -> bytes:
    """The counts as bytes, two or three a bin: how many bins further, and how many there."""
    places = sorted(histogram.counts)
    gaps = (later - earlier for earlier, later in pairwise([0, *places]))
    return msgspec.msgpack.encode(
        list(chain.from_iterable(zip(gaps, map(histogram.counts.get, places), strict=True)))
    )


def unpacked(content: bytes, total: float) -> LogHistogram:
    """The histogram whose counts were `packed`."""
    numbers = iter(msgspec.msgpack.decode(content, type=list[int]))
    counts, place = {}, 0
    for gap in numbers:
        place += gap
        counts[place] = next(numbers)
    return LogHistogram(counts, total)
