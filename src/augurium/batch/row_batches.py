"""Blocks of rows cut into batches for the model, each row with its place in the partition.

How rows are cut follows from the blocks and the size alone, so that every run cuts them alike: the
answers of some models depend on it in their last digits. Imports pyarrow.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from augurium.batch.partition import RowBlock


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that are scored at once; `places` count the rows of the partition that are scored, from
    0, and `rows` those of the file, from 1.
    """

    columns: pa.RecordBatch
    file: str
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def slice(self, start: int, stop: int) -> "RowBatch":
        """The rows from one number up to another."""
        return RowBatch(
            self.columns.slice(start, stop - start),
            self.file,
            self.rows[start:stop],
            self.places[start:stop],
        )

    def between(self, start: int, stop: int) -> "RowBatch":
        """The rows whose places are from `start` up to `stop`."""
        first, last = np.searchsorted(self.places, (start, stop)).tolist()
        return self.slice(first, last)

    def halves(self) -> tuple["RowBatch", "RowBatch"]:
        """The first half of the rows, and the others; at least two rows."""
        middle = len(self) // 2
        return self.slice(0, middle), self.slice(middle, len(self))

    def without(self, places: Collection[int]) -> "RowBatch":
        """The rows that are not at these places."""
        kept = ~np.isin(self.places, list(places))
        if kept.all():
            return self
        columns = self.columns.filter(pa.array(kept))
        return RowBatch(columns, self.file, self.rows[kept], self.places[kept])

    def at(self, places: Collection[int]) -> Iterator[tuple[int, int]]:
        """Of those that are here: the place, and the number in the file."""
        for place, row in zip(self.places.tolist(), self.rows.tolist(), strict=True):
            if place in places:
                yield place, row


def cut(blocks: Iterable[RowBlock], size: int) -> Iterator[RowBatch]:
    """Batches of at most `size` rows, none of which has rows of two blocks."""
    place = 0
    for block in blocks:
        count = len(block.rows)
        places = np.arange(place, place + count, dtype=np.int64)
        whole = RowBatch(block.columns, block.file, block.rows, places)
        for start in range(0, count, size):
            yield whole.slice(start, min(start + size, count))
        place += count
