"""The frequent texts of a stream in bounded memory.

Misra and Gries (1982), merged by block as in Agarwal et al. (2012), Mergeable summaries: no text
that makes up more than 1 / (CAPACITY + 1) of the stream is lost, and no count is too small by more
than that share.
"""

from collections import Counter
from collections.abc import Iterable

CAPACITY = 10_000


class FrequentTexts:
    """Counts of texts; exact while there are no more than CAPACITY different ones."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.exact = True

    def observe(self, counts: Iterable[tuple[str, int]]) -> None:
        """Takes the counts of one block."""
        for text, count in counts:
            self._counts[text] += count
        if len(self._counts) > CAPACITY:
            self._shrink()

    def most_common(self) -> list[tuple[str, int]]:
        """By count, then by text, so that the order is the same in every run."""
        return sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))

    def _shrink(self) -> None:
        self.exact = False
        spare = sorted(self._counts.values(), reverse=True)[CAPACITY]
        self._counts = Counter(
            {text: count - spare for text, count in self._counts.items() if count > spare}
        )
