"""`ModelStreamInfer`: requests and answers side by side on one call.

Answers of ordinary models come in the order of their requests, those of streamed ones as they are
made (Triton's extension of the Open Inference Protocol, "decoupled" models). A request that fails
has its text as its answer, and the stream goes on; with the metadata `triton_grpc_error: true` the
stream ends with its status.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

import structlog
from typing_extensions import Buffer

from augurium.core.errors import AuguriumError, Internal
from augurium.core.identifiers import MAX_REQUEST_ID_LENGTH
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.protobuf_fields import varint
from augurium.protocols import oip, oip_messages
from augurium.protocols.classification import classified
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_frames import Message, Pieces
from augurium.protocols.grpc_methods import StreamCall, Streaming, check_seen, wishes_of
from augurium.protocols.oip_messages import EMPTY_FINAL_RESPONSE, WireRequest
from augurium.serving.plane import DataPlane

ERROR_ENDS_STREAM = "triton_grpc_error"
FINAL_RESPONSE = "triton_final_response"
# of one call: at work, and answered but not sent; what runs together goes out together
MOST_REQUESTS = 64
MOST_ANSWERS = 64
# field number and wire type 2 (length-delimited) of `infer_response`
_RESPONSE_TAG = bytes([2 << 3 | 2])

log = structlog.get_logger()


class OipGrpcStream:
    """The streaming method of `inference.GRPCInferenceService`."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def methods(self) -> tuple[Streaming, ...]:
        """The method."""
        return (Streaming(f"/{oip.GRPC_SERVICE}/ModelStreamInfer", "infer", self._answers),)

    async def _answers(self, call: StreamCall) -> AsyncGenerator[Message, None]:
        conversation = _Conversation(self._plane, call)
        conversation.start()
        try:
            while (answer := await conversation.answers.get()) is not None:
                if isinstance(answer, AuguriumError):
                    raise answer
                yield answer
                # a large one is not held until the next is there
                del answer
        finally:
            await conversation.stop()


class _Question(NamedTuple):
    """A request of the stream; `raw` and `class_counts` say how its answers are wanted,
    `empty_final` whether a message tells that there are no more.
    """

    request: InferenceRequest
    raw: bool
    streamed: bool
    empty_final: bool
    class_counts: Mapping[str, int]


class _Conversation:
    """The requests of one call. `answers` ends with None, or with the error that ends the call."""

    def __init__(self, plane: DataPlane, call: StreamCall) -> None:
        self.answers: asyncio.Queue[Message | AuguriumError | None] = asyncio.Queue(MOST_ANSWERS)
        self._plane = plane
        self._call = call
        self._error_ends = call.metadata.get(ERROR_ENDS_STREAM, "") == "true"
        self._wishes = wishes_of(call.metadata.get)
        self._room = asyncio.Semaphore(MOST_REQUESTS)
        self._tasks: set[asyncio.Task[None]] = set()
        # set when the answers before the next one are in the queue
        self._turn = asyncio.Event()
        self._turn.set()

    def start(self) -> None:
        """Begins to take requests."""
        self._keep(asyncio.create_task(self._listen()))

    async def stop(self) -> None:
        """Gives up what is not answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        end: AuguriumError | None = None
        try:
            async for content in self._call.messages:
                await self._room.acquire()
                self._begin(content)
                # a large one is not held until the next comes
                del content
        except AuguriumError as error:
            end = error
        except Exception:
            await self._fault()
            return
        # what was asked before the end is answered before it
        own = asyncio.current_task()
        await asyncio.gather(*(task for task in self._tasks if task is not own))
        await self.answers.put(end)

    def _begin(self, content: Buffer) -> None:
        """Answers one request; its turn comes after that of the ordinary one before it."""
        turn = self._turn
        request_id = ""
        try:
            wire = oip_messages.parse(content)
            request_id = wire.message.id[:MAX_REQUEST_ID_LENGTH]
            question = self._question(wire)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, oip_messages.model_in(content))
            self._turn = asyncio.Event()
            self._keep(asyncio.create_task(self._refuse(error, request_id, turn, self._turn)))
            return
        if question.streamed:
            self._keep(asyncio.create_task(self._answer_streamed(question)))
        else:
            self._turn = asyncio.Event()
            self._keep(asyncio.create_task(self._answer_once(question, turn, self._turn)))

    def _question(self, wire: WireRequest) -> _Question:
        message = wire.message
        check_seen(self._call.admit(), message.model_name)
        parameters = oip_messages.parameters_of(message) if message.parameters else {}
        empty_final = parameters.pop(EMPTY_FINAL_RESPONSE, False) is True
        model = oip_messages.model_of(message)
        limit_s = oip.timeout_s(parameters)
        deadline = self._plane.stream_deadline(model, limit_s)
        priority = oip.priority_in(parameters, self._wishes.priority)
        request = oip_messages.decode(
            wire, parameters, deadline, self._wishes._replace(priority=priority)
        )
        counts = oip_messages.class_counts(message)
        oip.check_classes(self._plane, model, counts)
        streamed = self._plane.is_streamed(model)
        return _Question(request, bool(wire.raw), streamed, empty_final, counts)

    async def _answer_once(
        self, question: _Question, turn: asyncio.Event, done: asyncio.Event
    ) -> None:
        request = question.request
        try:
            response = await oip.infer(self._plane, request)
            answer = self._answer(question, response, _FINAL)
            del response, question
        except AuguriumError as error:
            await self._refuse(error, request.id, turn, done)
            return
        except Exception:
            await self._fault()
            return
        await turn.wait()
        await self.answers.put(answer)
        done.set()
        self._room.release()

    async def _answer_streamed(self, question: _Question) -> None:
        request = question.request
        responses = oip.stream(self._plane, request)
        try:
            async with aclosing(responses):
                async for response in responses:
                    await self.answers.put(self._answer(question, response, _NOT_FINAL))
            if question.empty_final:
                await self.answers.put(_empty_final(request))
        except AuguriumError as error:
            await self.answers.put(self._refusal(error, request.id))
        except Exception:
            await self._fault()
        self._room.release()

    def _answer(self, question: _Question, response: InferenceResponse, more: bytes) -> Message:
        if question.class_counts:
            response = classified(response, question.class_counts)
        return _wrapped(oip_messages.encode(response, question.raw), more)

    async def _refuse(
        self, error: AuguriumError, request_id: str, turn: asyncio.Event, done: asyncio.Event
    ) -> None:
        await turn.wait()
        await self.answers.put(self._refusal(error, request_id))
        done.set()
        self._room.release()

    def _refusal(self, error: AuguriumError, request_id: str) -> Message | AuguriumError:
        if self._error_ends:
            return error
        return pb.ModelStreamInferResponse(
            error_message=str(error), infer_response=pb.ModelInferResponse(id=request_id)
        ).SerializeToString()

    async def _fault(self) -> None:
        """A fault of ours ends the call; the others would not know what to wait for."""
        log.exception("request of a stream failed")
        await self.answers.put(Internal("internal error"))

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _empty_final(request: InferenceRequest) -> Message:
    content = pb.ModelInferResponse(model_name=request.model.name, id=request.id)
    return _wrapped(content.SerializeToString(), _FINAL)


def _wrapped(response: Message, more: bytes) -> Message:
    """The response as the field of its message; fields may come in any order, so `more` follows."""
    if isinstance(response, Pieces):
        size = response.size + len(more)
        head = _RESPONSE_TAG + varint(size)
        return Pieces([head, *response.parts, more], len(head) + size)
    return b"".join((_RESPONSE_TAG, varint(len(response) + len(more)), response, more))


def _final_parameter(final: bool) -> bytes:
    parameter = pb.InferParameter(bool_param=final)
    return pb.ModelInferResponse(parameters={FINAL_RESPONSE: parameter}).SerializeToString()


_FINAL, _NOT_FINAL = _final_parameter(True), _final_parameter(False)
