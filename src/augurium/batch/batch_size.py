"""How many rows are scored at once: found by trying, because every model likes another number."""

from collections.abc import Callable

# measured: XGBoost scores 65 536 rows at a time 2 % faster than 16 384, and a whole job is 8 %
# faster, since every batch has its price before and after the model too
CANDIDATES = (64, 256, 1024, 4096, 16_384, 65_536)
# where no row can be scored to find a better one
USUAL_BATCH = 1024
# fewer rows are as good if they are nearly as fast: less memory, and sooner at a stop
NEARLY = 0.99
# what one size may take, and how often it is tried within that
SPENT_S = 0.2
TRIES = 5
# a batch that takes so long is long enough: a stop waits for it
LONG_S = 0.5


def find_batch_size(
    score: Callable[[int], object], most: int, clock: Callable[[], float]
) -> tuple[int, float]:
    """The smallest number of rows that is nearly the fastest, and its rows/s.

    `score` scores so many rows; `clock` tells seconds. None is above `most`, which is at least 1.
    """
    sizes = [size for size in CANDIDATES if size < most] + [min(most, CANDIDATES[-1])]
    # what is made ready with the first run is not counted
    score(sizes[0])
    rates: dict[int, float] = {}
    for size in sizes:
        seconds = _quickest(score, size, clock)
        rates[size] = size / max(seconds, 1e-9)
        if seconds > LONG_S:
            break
    best = max(rates.values())
    return next((size, rate) for size, rate in rates.items() if rate >= NEARLY * best)


def _quickest(score: Callable[[int], object], size: int, clock: Callable[[], float]) -> float:
    """Seconds for a batch of that size."""
    began = clock()
    quickest = float("inf")
    for _ in range(TRIES):
        since = clock()
        score(size)
        quickest = min(quickest, clock() - since)
        if clock() - began > SPENT_S:
            break
    return quickest
