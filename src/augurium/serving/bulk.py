"""Many rows in one request: prepared block by block, run batch by batch, answered in order.

Only a few batches are under way at a time, so that a large request takes neither the memory nor the
turn of the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from augurium.core.errors import InvalidArgument, ModelFailed, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import Answer, Instances
from augurium.core.priority import Priority
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.validation import Prepared

# two that run and one that waits for them
BATCHES_UNDER_WAY = 3

Block = dict[str, Array] | Instances
Submit = Callable[[Sequence[Array], int, object], "asyncio.Future[Answer]"]
Prepare = Callable[[Block], Prepared]


class RowSource(Protocol):
    """Where the rows of a request come from."""

    def blocks(self, signature: Signature, batch_rows: int) -> Iterator[Block]:
        """The rows in order, a batch of `batch_rows` or several at a time; read on a thread.

        Raises InvalidArgument for rows that do not fit the signature.
        """
        ...


class BulkRequest(msgspec.Struct):
    """A request of any number of rows. `deadline` is that of the last of them, in seconds of the
    monotonic clock. A `small` one is read on the event loop.
    """

    model: ModelRef
    source: RowSource
    deadline: float
    small: bool = False
    id: str = ""
    outputs: Sequence[str] = ()
    parameters: Mapping[str, Any] = {}
    priority: Priority = Priority.NORMAL


async def answers(
    blocks: Iterator[Block],
    prepare: Prepare,
    submit: Submit,
    batch_rows: Callable[[], int],
    small: bool,
) -> AsyncGenerator[Answer, None]:
    """One answer per batch, in the order of the rows; `batch_rows` is asked for each how many it
    may have. The first error ends all of it.

    Raises what `prepare` and `submit` raise, and ModelFailed for an answer of another length.
    """
    waiting: deque[tuple[asyncio.Future[Answer], int]] = deque()
    reader = _BlockReader(blocks, prepare)
    try:
        while True:
            block = reader.next() if small else await asyncio.to_thread(reader.next)
            if block is None:
                break
            stop = 0
            while stop < block.rows:
                start, stop = stop, min(stop + batch_rows(), block.rows)
                inputs = [array[start:stop] for array in block.inputs]
                batch = _Batch(inputs, stop - start, block.key)
                while len(waiting) >= BATCHES_UNDER_WAY:
                    yield await _first(waiting)
                while (future := _submitted(submit, batch, bool(waiting))) is None:
                    yield await _first(waiting)
                waiting.append((future, batch.rows))
        while waiting:
            yield await _first(waiting)
    finally:
        for future, _ in waiting:
            future.cancel()


class _Batch(NamedTuple):
    inputs: Sequence[Array]
    rows: int
    key: object


class _BlockReader:
    """Reads and checks the blocks one after another; blocking."""

    def __init__(self, blocks: Iterator[Block], prepare: Prepare) -> None:
        self._blocks = blocks
        self._prepare = prepare
        self._rows = 0

    def next(self) -> Prepared | None:
        """The next block as the model takes it, None at the end."""
        block = next(self._blocks, None)
        if block is None:
            return None
        try:
            prepared = self._prepare(block)
        except InvalidArgument as error:
            if not self._rows:
                raise
            # the number of a row in the text is its number in this block
            raise InvalidArgument(f"in the rows after the first {self._rows}: {error}") from error
        self._rows += prepared.rows
        return prepared


def _submitted(submit: Submit, batch: _Batch, others_wait: bool) -> "asyncio.Future[Answer] | None":
    """The future of a batch; None where the queue has no room until one of our own has left it."""
    try:
        return submit(*batch)
    except Overloaded:
        if not others_wait:
            raise
        return None


async def _first(waiting: "deque[tuple[asyncio.Future[Answer], int]]") -> Answer:
    future, rows = waiting[0]
    answer = await future
    waiting.popleft()
    for index in range(answer.size):
        shape = answer.shape(index)
        if shape[:1] != (rows,):
            raise ModelFailed(
                f"the model answered {list(shape)} for a batch of {rows} rows;"
                " send its rows in one request of tensors if they are not independent"
            )
    return answer
