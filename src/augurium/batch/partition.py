"""Pieces of a job's input, and what has become of them: what passes between the parts of a job."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

if TYPE_CHECKING:
    import pyarrow as pa


class Fragment(Struct, frozen=True, omit_defaults=True):
    """A part of a file: row groups of Parquet, record batches of Arrow, bytes of text.

    `file` is an absolute path or a URL, `identity` changes when its content does. The part goes
    from `start` up to, but without, `stop`; the whole file where both are 0. `first_row` is the
    number that its first row has in the file, from 1. `values` are those of the folders
    `column=value` that the file is in.
    """

    file: str
    identity: str
    start: int = 0
    stop: int = 0
    first_row: int = 1
    rows: int | None = None
    values: dict[str, str] = {}


class Partition(Struct, frozen=True):
    """What is scored and committed as one, in this order; numbers begin at 0."""

    number: int
    fragments: tuple[Fragment, ...]

    @property
    def rows(self) -> int | None:
        """How many rows it has before any is left out; None where only reading tells."""
        counts = [fragment.rows for fragment in self.fragments]
        return None if None in counts else sum(count or 0 for count in counts)


class InputPlan(Struct, frozen=True):
    """The whole input, cut up.

    `sources` gives the column of a block that has a feature or input of the signature, for each
    that there is; `kept` are the columns of a block that are passed through. `schema` are the
    columns that are read, as the files have them, in Arrow's own form.
    """

    format: str
    partitions: tuple[Partition, ...]
    sources: dict[str, str]
    kept: tuple[str, ...]
    files: int
    total_bytes: int
    schema: bytes = b""

    @property
    def rows(self) -> int | None:
        """How many rows it has before any is left out; None where only reading tells."""
        counts = [partition.rows for partition in self.partitions]
        return None if None in counts else sum(count or 0 for count in counts)


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Some rows of a file that can be scored; `rows` are their numbers in `file`, from 1.

    `columns` has the features first, under the names of `InputPlan.sources`, in the types of the
    signature, without nulls; inputs that are lists are flat lists of one size. Columns that are
    kept come behind them, under the names of the file and as they are there.
    """

    columns: "pa.RecordBatch"
    file: str
    rows: npt.NDArray[np.int64]


class RejectedRow(Struct, frozen=True):
    """A row that was set aside: where it stands, the column at fault (empty if it is none), the
    kind of the reason (`malformed`, `wrong_type`, `missing`, `not_in_signature`, `too_long`,
    `model_failed`), and a sentence.
    """

    file: str
    row: int
    column: str
    kind: str
    reason: str


class WrittenFile(Struct, frozen=True):
    """A file that waits to become visible: `staged` below the output, `name` it will have there."""

    staged: str
    name: str
    size_bytes: int
    digest: str
    rows: int
    rejected: bool = False


class PartitionResult(Struct, frozen=True, omit_defaults=True):
    """What a partition came to. `summary` adds up over partitions (`partition_summary.py`)."""

    number: int
    files: tuple[WrittenFile, ...]
    read_rows: int
    written_rows: int
    filtered_rows: int = 0
    rejected: dict[str, int] = {}
    """How many by kind of reason."""
    stage_s: dict[str, float] = {}
    """Seconds of `read`, `prepare`, `predict`, `encode` and `store`."""
    summary: dict[str, Any] = {}
