"""Many rows on `:predict`: Arrow tables and JSON Lines, in and out."""

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from augurium.core.errors import AuguriumError, UnsupportedMedia
from augurium.core.inference import InferenceResponse, Instances
from augurium.protocols import json_lines
from augurium.protocols.answer_headers import origin, origin_of_parts
from augurium.protocols.http import HttpResponse, StreamedResponse, json_response
from augurium.protocols.media_types import Form, Forms
from augurium.protocols.predictions import predictions
from augurium.protocols.routing import Call
from augurium.serving.bulk import BulkRequest, RowSource
from augurium.serving.plane import DataPlane

# smaller bodies are read at once: a thread takes longer to come round than they do
SMALL_BODY_BYTES = 16 * 1024
MOST_VALUES_ENCODED_HERE = 10_000
_ARROW = ("augurium.protocols.arrow_answers", "augurium.protocols.arrow_tables")

log = structlog.get_logger()


class RowsRest:
    """Answers `:predict` in the forms of `media_types`; a request of any number of rows is one
    request, split over the batcher.
    """

    def __init__(self, plane: DataPlane, max_body_bytes: int, max_json_depth: int) -> None:
        self._plane = plane
        self._max_body_bytes = max_body_bytes
        self._max_json_depth = max_json_depth

    async def predict(
        self, call: Call, forms: Forms, instances: Instances | None = None
    ) -> HttpResponse | StreamedResponse:
        """The answer to rows in any form; `instances` are those of a JSON body."""
        try:
            if Form.ARROW in forms:
                await load_arrow()
            source = self._source(call, forms, instances)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        request = BulkRequest(
            call.model,
            source,
            self._plane.deadline(call.timeout_s),
            small=len(call.request.body or b"") <= SMALL_BODY_BYTES,
            priority=call.priority,
            header=call.request.header,
            prediction_id=call.request_id,
        )
        if forms.answer is Form.LINES:
            return await self._lines(request)
        async with aclosing(self._plane.batches(request)) as batches:
            responses = [response async for response in batches]
        if forms.answer is Form.ARROW:
            return await _arrow_answer(responses, request.small)
        return _json_answer(responses)

    def _source(self, call: Call, forms: Forms, instances: Instances | None) -> RowSource:
        if forms.rows is Form.ARROW:
            from augurium.protocols.arrow_tables import ArrowRows

            return ArrowRows(call.request.body or b"", self._max_body_bytes)
        if forms.rows is Form.LINES:
            return json_lines.JsonLines(call.request.content, self._max_json_depth)
        return json_lines.InstanceRows(instances or Instances([]))

    async def _lines(self, request: BulkRequest) -> StreamedResponse:
        """A line per prediction, as they come. What goes wrong before the first is an error with
        its own status.
        """
        responses = self._plane.batches(request)
        first = await anext(responses)
        return StreamedResponse(
            200,
            [("content-type", Form.LINES.value), *origin(first)],
            _streamed(first, responses, request.small),
        )


async def load_arrow() -> None:
    """Imports what reads and writes Arrow, the first time, on a thread. Raises UnsupportedMedia
    where it is not installed.
    """
    if not all(name in sys.modules for name in _ARROW):
        await asyncio.to_thread(_import_arrow)


def _import_arrow() -> None:
    try:
        for name in _ARROW:
            importlib.import_module(name)
    except ImportError as error:
        raise UnsupportedMedia(
            "this server cannot read or write Arrow, because pyarrow is not installed; run: pip"
            " install 'augurium[tables]' where it runs, or send and accept application/json"
        ) from error


async def _arrow_answer(responses: list[InferenceResponse], small: bool) -> HttpResponse:
    from augurium.protocols import arrow_answers

    headers = [("content-type", Form.ARROW.value), *origin_of_parts(responses)]
    if small:
        return HttpResponse(200, headers, bytes(arrow_answers.encode(responses)))
    content = await asyncio.to_thread(arrow_answers.encode, responses)
    return HttpResponse(200, headers, b"", (content,))


def _json_answer(responses: list[InferenceResponse]) -> HttpResponse:
    found = [value for response in responses for value in predictions(response)]
    answer = json_response({"predictions": found})
    answer.headers.extend(origin_of_parts(responses))
    return answer


async def _streamed(
    first: InferenceResponse, responses: AsyncGenerator[InferenceResponse, None], small: bool
) -> AsyncGenerator[bytes, None]:
    """The lines of each batch together, and an error as the last line."""
    async with aclosing(responses):
        try:
            yield await _encoded(first, small)
            async for response in responses:
                yield await _encoded(response, small)
        except AuguriumError as error:
            yield json_lines.encode_error(error)
        except Exception:  # the status is sent: only a line can still say it
            log.exception("streamed rows failed")
            yield json_lines.encode_error("internal error; the log has it")


async def _encoded(response: InferenceResponse, small: bool) -> bytes:
    values = sum(response.answer.array(index).size for index in response.indices)
    if small or values <= MOST_VALUES_ENCODED_HERE:
        return _lines_of(response)
    return await asyncio.to_thread(_lines_of, response)


def _lines_of(response: InferenceResponse) -> bytes:
    found = predictions(response)
    if response.degraded:
        found = json_lines.marked(found, response.degraded, response.step)
    return json_lines.encode(found)
