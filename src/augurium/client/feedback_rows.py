"""Rows of feedback on their way to a server: encoded in chunks, and the receipts added up."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from augurium.client.feedback_results import FeedbackReceipt, Rejection
from augurium.core.errors import AuguriumError, InvalidArgument, reworded

Row = Mapping[str, Any]
HEADERS = {"content-type": "application/x-ndjson"}
# from 10 000 rows on, a server writes them past its journal
CHUNK_ROWS = 50_000
MOST_REASONS = 100
# a server that is busy with its disk may need it
CHUNK_TIMEOUT_S = 120.0


class Chunk(NamedTuple):
    """Rows as JSON Lines; `before` counts those that went before them."""

    before: int
    content: bytes


def chunks(rows: Row | Iterable[Row]) -> Iterator[Chunk]:
    """One row, or the rows of an iterator, which is read no further than it is sent.

    Raises InvalidArgument for a value that JSON has no form for.
    """
    packing = _Packing()
    for row in [rows] if isinstance(rows, Mapping) else rows:
        if packing.add(row):
            yield packing.packed()
    if packing.count:
        yield packing.packed()


async def async_chunks(rows: Row | Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Chunk]:
    """As `chunks`, also for an asynchronous iterator."""
    if not isinstance(rows, AsyncIterable):
        for chunk in chunks(rows):
            yield chunk
        return
    packing = _Packing()
    async for row in rows:
        if packing.add(row):
            yield packing.packed()
    if packing.count:
        yield packing.packed()


class _Packing:
    """Rows of the chunk that is being filled."""

    def __init__(self) -> None:
        self.count = 0
        self._before = 0
        self._content = bytearray()
        self._encoder = msgspec.json.Encoder(enc_hook=_plain)

    def add(self, row: Row) -> bool:
        """Adds a row, and says whether the chunk is full."""
        self.count += 1
        self._content += _encoded(self._encoder, row, self._before + self.count)
        return self.count == CHUNK_ROWS

    def packed(self) -> Chunk:
        """The chunk; the next one begins behind it."""
        chunk = Chunk(self._before, bytes(self._content))
        self._before += self.count
        self.count = 0
        self._content.clear()
        return chunk


class Receipts:
    """The receipts of chunks as one."""

    def __init__(self) -> None:
        self._accepted = 0
        self._rejected = 0
        self._rejections: list[Rejection] = []

    def add(self, chunk: Chunk, receipt: FeedbackReceipt) -> None:
        """Adds one; its lines become places among all rows."""
        self._accepted += receipt.accepted
        self._rejected += receipt.rejected
        room = MOST_REASONS - len(self._rejections)
        self._rejections += [
            Rejection(chunk.before + found.line, found.reason)
            for found in receipt.rejections[:room]
        ]

    def broken(self, error: AuguriumError) -> AuguriumError:
        """The error of a chunk, with what was accepted before it."""
        if not self._accepted:
            return error
        return reworded(
            error,
            f"{error}; {self._accepted} rows were accepted before; send all of them again, nothing "
            "counts twice",
        )

    def total(self) -> FeedbackReceipt:
        """All of them."""
        return FeedbackReceipt(self._accepted, self._rejected, tuple(self._rejections))


def _encoded(encoder: msgspec.json.Encoder, row: Row, place: int) -> bytes:
    try:
        return encoder.encode(dict(row)) + b"\n"
    except (TypeError, ValueError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise InvalidArgument(
            f"row {place} of the feedback cannot be sent: {error}; expected a mapping with model, "
            "prediction_id or unit, name and value"
        ) from error


def _plain(value: Any) -> Any:
    # numbers of NumPy
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
