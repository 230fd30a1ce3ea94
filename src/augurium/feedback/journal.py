"""The port of the journal: where feedback is from its receipt until it stands in a segment."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from augurium.feedback.row import FeedbackRow, StoredRow


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file with rows of one model.

    `hour` is when they were received, `first_at` and `last_at` are the times of the outcomes,
    `received_at` is that of the newest row; all in seconds since 1970.
    """

    name: str
    model: str
    hour: str
    first_seq: int
    last_seq: int
    rows: int
    size_bytes: int
    first_at: float
    last_at: float
    received_at: float


class JournalSize(NamedTuple):
    """How many rows stand in the journal, and when the oldest was received; None if none do."""

    rows: int
    oldest_at: float | None


class Kept(NamedTuple):
    """Everything of one model at one moment: rows of segments are not among `rows`."""

    segments: list[Segment]
    rows: list[StoredRow]


class Journal(Protocol):
    """Rows in the order of their receipt, and the list of segments. Every method blocks.

    Every change is one transaction: whole or not at all. Sequence numbers grow, and are never
    given twice. Methods raise NotReady when the database does not answer.
    """

    def append(self, rows: Sequence[FeedbackRow], received_at: float) -> int:
        """Adds rows, durably, and gives the number of the first."""
        ...

    def reserve(self, count: int) -> int:
        """The first of so many numbers, which rows of segments are going to have."""
        ...

    def note(self, segments: Sequence[Segment]) -> None:
        """Lists segments whose rows never stood in the journal."""
        ...

    def oldest(self, limit: int) -> list[StoredRow]:
        """The rows with the lowest numbers, in order."""
        ...

    def replace(self, rows: Sequence[StoredRow], segments: Sequence[Segment]) -> bool:
        """Takes the oldest rows out and lists the segments they stand in now; False, and nothing
        is changed, when another process did so meanwhile.
        """
        ...

    def kept(self, model: str) -> Kept:
        """What there is of a model."""
        ...

    def size(self) -> JournalSize:
        """How much waits to be put into segments."""
        ...

    def models(self) -> set[str]:
        """The models that something is kept of."""
        ...

    def segment_names(self) -> set[str]:
        """The names of all segments that are listed."""
        ...

    def forget(self, model: str) -> list[Segment]:
        """Takes out all of a model; gives the segments that are not listed any more."""
        ...

    def expire(self, before: float) -> list[Segment]:
        """Takes out what was received before a time, segments when all of their rows were; gives
        the segments that are not listed any more.
        """
        ...
