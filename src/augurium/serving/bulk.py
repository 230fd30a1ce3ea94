"""Many rows in one request: prepared block by block, run batch by batch, answered in order.

Only a few batches are under way at a time, so that a large request takes neither the memory nor the
turn of the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from augurium.core.errors import AuguriumError, InvalidArgument, ModelFailed, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import Answer, Header, InferenceResponse, Instances
from augurium.core.priority import Priority
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.serving.validation import Prepared

# two that run and one that waits for them
BATCHES_UNDER_WAY = 3

Block = dict[str, Array] | Instances
Submit = Callable[[Sequence[Array], int, object], "asyncio.Future[Answer]"]
Prepare = Callable[[Block], Prepared]
# what answers rows in place of a version; raises the error where nothing does
Rescue = Callable[[Block, AuguriumError], Awaitable[Sequence[InferenceResponse]]]


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
    header: Header | None = None
    prediction_id: str = ""

    async def first_row(self, signature: Signature) -> Block | None:
        """The first row, perhaps with others; None where it cannot be read, which whoever reads all
        of them will say.
        """
        try:
            blocks = self.source.blocks(signature, 1)
            return await _next(blocks, self.small)
        except AuguriumError:
            return None


async def _next(blocks: Iterator[Block], small: bool) -> Block | None:
    return next(blocks, None) if small else await asyncio.to_thread(next, blocks, None)


async def answers(
    blocks: Iterator[Block],
    prepare: Prepare,
    submit: Submit,
    batch_rows: Callable[[], int],
    small: bool,
    rescue: Rescue | None = None,
) -> AsyncGenerator[Answer | InferenceResponse, None]:
    """One answer per batch, in the order of the rows; `batch_rows` is asked for each how many it
    may have. A batch that fails is given to `rescue`, which answers its rows in one part or
    several; without it the first error ends all of it.

    Raises what `prepare` and `submit` raise, and ModelFailed for an answer of another length.
    """
    waiting: deque[_Waiting] = deque()
    reader = _BlockReader(blocks, prepare)
    try:
        while True:
            found = reader.next() if small else await asyncio.to_thread(reader.next)
            if found is None:
                break
            block, as_sent = found
            stop = 0
            while stop < block.rows:
                start, stop = stop, min(stop + batch_rows(), block.rows)
                inputs = [array[start:stop] for array in block.inputs]
                batch = _Batch(inputs, stop - start, block.key)
                rows = _Rows(as_sent, start, stop)
                while len(waiting) >= BATCHES_UNDER_WAY:
                    for answer in await _first(waiting, rescue):
                        yield answer
                while (future := _submitted(submit, batch, bool(waiting), rescue)) is None:
                    for answer in await _first(waiting, rescue):
                        yield answer
                waiting.append(_Waiting(future, rows))
        while waiting:
            for answer in await _first(waiting, rescue):
                yield answer
    finally:
        for batch_answer, _ in waiting:
            batch_answer.cancel()


def row_count(block: Block) -> int:
    """How many rows these are."""
    if isinstance(block, Instances):
        return len(block.rows)
    return max((len(array) for array in block.values() if array.ndim), default=0)


def rows_of(block: Block, start: int, stop: int) -> Block:
    """Some of the rows."""
    if isinstance(block, Instances):
        return Instances(block.rows[start:stop])
    return {name: array[start:stop] for name, array in block.items()}


def after_rows(error: InvalidArgument, rows: int) -> InvalidArgument:
    """A mistake in a later block as it is told: the number of a row in the text is its number
    there.
    """
    return InvalidArgument(f"in the rows after the first {rows}: {error}")


class _Batch(NamedTuple):
    inputs: Sequence[Array]
    rows: int
    key: object


class _Rows(NamedTuple):
    """The rows of a batch as they were sent."""

    block: Block
    start: int
    stop: int


class _Waiting(NamedTuple):
    answer: "asyncio.Future[Answer]"
    rows: _Rows


class _BlockReader:
    """Reads and checks the blocks one after another; blocking."""

    def __init__(self, blocks: Iterator[Block], prepare: Prepare) -> None:
        self._blocks = blocks
        self._prepare = prepare
        self._rows = 0

    def next(self) -> tuple[Prepared, Block] | None:
        """The next block as the model takes it and as it was sent, None at the end."""
        block = next(self._blocks, None)
        if block is None:
            return None
        try:
            prepared = self._prepare(block)
        except InvalidArgument as error:
            if not self._rows:
                raise
            raise after_rows(error, self._rows) from error
        self._rows += prepared.rows
        return prepared, block


def _submitted(
    submit: Submit, batch: _Batch, others_wait: bool, rescue: Rescue | None
) -> "asyncio.Future[Answer] | None":
    """The future of a batch; None where the queue has no room until one of our own has left it."""
    try:
        return submit(*batch)
    except AuguriumError as error:
        if others_wait and isinstance(error, Overloaded):
            return None
        if rescue is None:
            raise
        # in its turn
        failed: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        # looked at, so that nobody complains that nobody did
        failed.exception()
        return failed


async def _first(
    waiting: "deque[_Waiting]", rescue: Rescue | None
) -> Sequence[Answer | InferenceResponse]:
    """What there is for the batch that waits longest."""
    future, rows = waiting[0]
    try:
        answer = await future
        _check_rows(answer, rows.stop - rows.start)
    except AuguriumError as error:
        if rescue is None:
            raise
        waiting.popleft()
        return await rescue(rows_of(*rows), error)
    waiting.popleft()
    return (answer,)


def _check_rows(answer: Answer, rows: int) -> None:
    for index in range(answer.size):
        shape = answer.shape(index)
        if shape[:1] != (rows,):
            raise ModelFailed(
                f"the model answered {list(shape)} for a batch of {rows} rows;"
                " send its rows in one request of tensors if they are not independent"
            )
