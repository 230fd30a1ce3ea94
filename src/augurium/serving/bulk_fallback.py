"""What answers the rows of a request of many that their version does not answer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from augurium.core.errors import AuguriumError, InvalidArgument
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.signature import Signature
from augurium.serving.bulk import Block, BulkRequest, after_rows, row_count, rows_of

# the answer of a fallback to a request of one batch, None where it has none
Instead = Callable[[InferenceRequest, AuguriumError], Awaitable[InferenceResponse | None]]


class BulkFallback:
    """Asks a fallback for the rows of one request, at most `batch_rows` at a time."""

    def __init__(self, instead: Instead, request: BulkRequest, batch_rows: int) -> None:
        self._instead = instead
        self._request = request
        self._batch_rows = batch_rows

    async def answers(self, block: Block, error: AuguriumError) -> list[InferenceResponse]:
        """The answers to some rows, in their order. Raises the error where there is none."""
        found = []
        rows = row_count(block)
        for start in range(0, max(rows, 1), self._batch_rows):
            part = rows_of(block, start, min(start + self._batch_rows, rows))
            response = await self._instead(self._asking(part), error)
            if response is None:
                raise error
            found.append(response)
        return found

    async def all_answers(
        self, signature: Signature, error: AuguriumError
    ) -> AsyncGenerator[InferenceResponse, None]:
        """The answers to all rows. Raises as `answers`, and InvalidArgument for what the version
        would not have taken.
        """
        blocks = self._request.source.blocks(signature, self._batch_rows)
        small, rows = self._request.small, 0
        while True:
            block = next(blocks, None) if small else await asyncio.to_thread(next, blocks, None)
            if block is None:
                return
            try:
                found = await self.answers(block, error)
            except InvalidArgument as mistake:
                if not rows:
                    raise
                raise after_rows(mistake, rows) from mistake
            for response in found:
                yield response
            rows += row_count(block)

    def _asking(self, block: Block) -> InferenceRequest:
        request = self._request
        return InferenceRequest(
            request.model,
            block,
            request.deadline,
            request.id,
            request.outputs,
            request.parameters,
            priority=request.priority,
        )
