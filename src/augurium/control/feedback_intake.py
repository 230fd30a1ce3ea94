"""The rows of one request: few go into the journal together, many past it in blocks."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from augurium.control.feedback import Feedback
from augurium.core.errors import TooLarge
from augurium.feedback.bulk_load import BulkLoad
from augurium.feedback.reading import LineReader, Rejection, Rows, read_json

BULK_ROWS = 10_000
MAX_JSON_BYTES = 16 * 1024 * 1024


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """What became of the rows of a request: those accepted are durable; of those rejected, the
    first hundred say which and why.
    """

    accepted: int
    rejected: int
    rejections: list[Rejection]


class FeedbackIntake:
    """Takes the body of one request: nothing of it is kept unless all of it was received."""

    def __init__(self, feedback: Feedback, sees: Callable[[str], bool]) -> None:
        self._feedback = feedback
        self._check = feedback.check(sees)
        self._rows = Rows()
        self._accepted = 0

    async def lines(self, pieces: AsyncIterator[bytes]) -> FeedbackReceipt:
        """Takes JSON Lines. Raises as `Feedback.add` and `Feedback.loading`."""
        reader = LineReader(self._check, self._rows)
        async for piece in pieces:
            await asyncio.to_thread(reader.take, piece)
            if len(self._rows.taken) >= BULK_ROWS:
                await self._load(reader, pieces)
                return self._receipt()
        await asyncio.to_thread(reader.end)
        return await self._finished()

    async def json(self, pieces: AsyncIterator[bytes]) -> FeedbackReceipt:
        """Takes one object or an array. Raises InvalidArgument, TooLarge, and as `lines`."""
        body = bytearray()
        async for piece in pieces:
            body += piece
            if len(body) > MAX_JSON_BYTES:
                raise TooLarge(
                    f"a JSON body may have at most {MAX_JSON_BYTES} bytes; send JSON Lines with "
                    "content-type: application/x-ndjson, which may be of any length"
                )
        await asyncio.to_thread(read_json, bytes(body), self._check, self._rows)
        return await self._finished()

    async def _finished(self) -> FeedbackReceipt:
        if len(self._rows.taken) >= BULK_ROWS:
            async with self._feedback.loading() as load:
                await asyncio.to_thread(self._write, load)
                await asyncio.to_thread(load.commit)
        else:
            rows = self._rows.drain()
            await self._feedback.add(rows)
            self._accepted += len(rows)
        return self._receipt()

    async def _load(self, reader: LineReader, pieces: AsyncIterator[bytes]) -> None:
        async with self._feedback.loading() as load:
            await asyncio.to_thread(self._write, load)
            async for piece in pieces:
                await asyncio.to_thread(reader.take, piece)
                await asyncio.to_thread(self._write, load)
            await asyncio.to_thread(reader.end)
            await asyncio.to_thread(self._write, load)
            await asyncio.to_thread(load.commit)

    def _write(self, load: BulkLoad) -> None:
        rows = self._rows.drain()
        load.add(rows)
        self._feedback.counts.count(rows)
        self._accepted += len(rows)

    def _receipt(self) -> FeedbackReceipt:
        self._feedback.counts.reject(self._rows.rejected)
        return FeedbackReceipt(self._accepted, self._rows.rejected, self._rows.rejections)
