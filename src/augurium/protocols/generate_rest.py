"""The generate extension of the Open Inference Protocol over REST: tensors as plain values, answers
one at a time.

Source: Triton Inference Server, docs/protocol/extension_generate.md.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from augurium.core.errors import AuguriumError, Internal
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.tensors import Array
from augurium.core.wrapped_bytes import bytes_wrapped
from augurium.protocols import oip
from augurium.protocols.answer_headers import origin
from augurium.protocols.generate_body import decode
from augurium.protocols.http import JSON_TYPE, Headers, HttpResponse, StreamedResponse
from augurium.protocols.routing import Call, Route
from augurium.serving.plane import DataPlane

EVENT_STREAM = ("content-type", "text/event-stream; charset=utf-8")
# what stands between us and the caller must not hold events back to answer from memory
NO_STORE = ("cache-control", "no-store")

_encoder = msgspec.json.Encoder()
log = structlog.get_logger()


class GenerateRest:
    """The handlers of `generate` and `generate_stream`; each takes a call that was routed to it."""

    def __init__(self, plane: DataPlane, max_json_depth: int) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol."""
        model = "/v2/models/{model}"
        return (
            Route("POST", f"{model}/generate", "generate", self.generate),
            Route("POST", f"{model}/generate_stream", "generate", self.generate_stream),
        )

    async def generate(self, call: Call) -> HttpResponse:
        """`POST /v2/models/M[/versions/V]/generate`: the only answer, as one object."""
        response = await self._plane.infer(self._request(call))
        answer = HttpResponse(200, [JSON_TYPE], _encoder.encode(_content(response)))
        answer.headers.extend(origin(response))
        return answer

    async def generate_stream(self, call: Call) -> StreamedResponse:
        """`POST /v2/models/M[/versions/V]/generate_stream`: every answer, as server-sent events.

        What goes wrong before the first answer is an error with its own status.
        """
        responses = self._plane.stream(self._request(call))
        first = await anext(responses, None)
        headers: Headers = [EVENT_STREAM, NO_STORE]
        if first is not None:
            headers.extend(origin(first))
        return StreamedResponse(200, headers, _events(first, responses))

    def _request(self, call: Call) -> InferenceRequest:
        try:
            signature = self._plane.asked(call.model).signature
            body = decode(call.request.content, signature, self._max_json_depth)
            timeout_s = call.timeout_s
            priority = call.priority
            if body.parameters:
                timeout_s = oip.shorter_timeout_s(timeout_s, body.parameters)
                priority = oip.priority_in(body.parameters, priority)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        deadline = self._plane.stream_deadline(call.model, timeout_s)
        return InferenceRequest(
            call.model,
            body.inputs,
            deadline,
            body.id,
            parameters=oip.model_parameters(body.parameters),
            refresh=call.refresh,
            priority=priority,
            header=call.request.header,
            prediction_id=call.request_id,
        )


async def _events(
    first: InferenceResponse | None, responses: AsyncGenerator[InferenceResponse, None]
) -> AsyncGenerator[bytes, None]:
    """Each answer as an event, and an error as the last one."""
    async with aclosing(responses):
        try:
            if first is not None:
                yield _event(_content(first))
            async for response in responses:
                yield _event(_content(response))
        except AuguriumError as error:
            yield _error(error)
        except Exception:  # the status is sent: only an event can still say it
            log.exception("stream failed")
            yield _error(Internal("internal error; the log has it"))


def _error(error: AuguriumError) -> bytes:
    """With its kind, because the status is sent already."""
    return _event({"error": str(error), "kind": error.kind})


def _event(content: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _encoder.encode(content)


def _content(response: InferenceResponse) -> dict[str, Any]:
    """Who answered, and each output by its name: one row as the row, a single value bare."""
    said = {"id": response.id} if response.id else {}
    outputs = {
        spec.name: _value(response.answer.array(index))
        for spec, index in zip(response.specs, response.indices, strict=True)
    }
    return {
        **said,
        "model_name": response.model,
        "model_version": str(response.version),
        **outputs,
    }


def _value(array: Array) -> Any:
    if array.size == 1:
        value = array.item()
    else:
        value = (array[0] if array.shape[:1] == (1,) else array).tolist()
    # JSON has no other form for what is not UTF-8
    return bytes_wrapped(value) if array.dtype.hasobject else value
