"""Whether units are shared out as the weights say, and how long that takes.

Ten million units against weights from 0.01 to 60 percent; the largest deviation is to be below 0.1
percent of all units. The same units with another salt must be independent of them (chi-square).

    python -m benchmarks.assignment
"""

import math
import sys
import time
from collections import Counter
from itertools import product

from augurium.core.traffic_slots import SLOTS, rearranged
from augurium.traffic.assignment import Assignment
from benchmarks.saved import print_and_save

UNITS = 10_000_000
WEIGHTS = {"a": 6_000, "b": 3_000, "c": 900, "d": 99, "e": 1}


def measure() -> dict[str, object]:
    """Deviations in percent of all units, chi-squares with their degrees of freedom."""
    places = rearranged((), WEIGHTS)
    one, other = Assignment("fraud", places), Assignment("churn", places)
    cells: Counter[tuple[str, str]] = Counter()
    began = time.perf_counter()
    for number in range(UNITS):
        unit = f"user-{number}"
        cells[one.variant(unit), other.variant(unit)] += 1
    seconds = time.perf_counter() - began
    rows = Counter({a: sum(cells[a, b] for b in WEIGHTS) for a in WEIGHTS})
    columns = Counter({b: sum(cells[a, b] for a in WEIGHTS) for b in WEIGHTS})
    shares = {name: slots / SLOTS for name, slots in WEIGHTS.items()}
    return {
        "units": UNITS,
        "microseconds_per_assignment": round(seconds / UNITS / 2 * 1e6, 2),
        "largest_deviation_percent": max(
            abs(rows[name] / UNITS - share) * 100 for name, share in shares.items()
        ),
        "shares_chi_square": _chi_square(
            {name: (rows[name], share * UNITS) for name, share in shares.items()}
        ),
        "shares_degrees_of_freedom": len(WEIGHTS) - 1,
        # cells with less than one unit expected say nothing
        "independence_chi_square": _chi_square(
            {
                (a, b): (cells[a, b], rows[a] * columns[b] / UNITS)
                for a, b in product(WEIGHTS, WEIGHTS)
                if rows[a] * columns[b] >= UNITS
            }
        ),
        "independence_degrees_of_freedom": (len(WEIGHTS) - 1) ** 2,
    }


def _chi_square(found: dict[object, tuple[int, float]]) -> float:
    return math.fsum((count - expected) ** 2 / expected for count, expected in found.values())


if __name__ == "__main__":
    sys.exit(print_and_save("assignment", measure))
