"""The client of a node for asyncio: predictions by many tasks of one event loop."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Iterable,
    Mapping,
    Sequence,
)
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, Unpack, overload

import httpx

from augurium.client import results
from augurium.client.arrow_tables import ArrowData
from augurium.client.async_batch_calls import AsyncBatchCalls
from augurium.client.async_batch_schedule_calls import AsyncBatchScheduleCalls
from augurium.client.async_connection import AsyncConnection
from augurium.client.async_rollout_calls import AsyncRolloutCalls
from augurium.client.call import Call, StreamCall
from augurium.client.connection import HttpOptions, TlsFiles, api_url
from augurium.client.deadline import Deadline
from augurium.client.feedback_results import FeedbackReceipt
from augurium.client.feedback_rows import (
    CHUNK_TIMEOUT_S,
    HEADERS,
    Chunk,
    Receipts,
    Row,
    async_chunks,
)
from augurium.client.instances import sendable
from augurium.client.prediction_call import STREAM_TIMEOUT_S, CallOptions, timeout_s
from augurium.client.prediction_steps import PredictionSteps, StreamSteps
from augurium.client.recorded_predictions import AsyncPredictionCalls
from augurium.client.replies import Inference, Predictions, PredictionTable, StreamReply
from augurium.client.rest_transport import AsyncRestTransport
from augurium.client.retries import Retries
from augurium.client.sender import AsyncSender, AsyncStream
from augurium.client.series_calls import AsyncSeriesCalls
from augurium.client.server_place import AsyncServerPlace
from augurium.client.shadow_results import ShadowReport
from augurium.client.signatures import Look, Signatures, Steps
from augurium.client.traffic_calls import AsyncTrafficCalls
from augurium.client.transport_options import (
    TransportOptions,
    calls_of,
    check_places,
    connections_of,
    server_key,
    server_url,
    tls_files,
)
from augurium.core.errors import AuguriumError
from augurium.core.tensors import Array

Result = TypeVar("Result")


class AsyncTransport(Protocol):
    """What carries one attempt."""

    def send(self, call: Call[Result], deadline: Deadline) -> Awaitable[Result]:
        """Sends a call and reads its answer."""

    def open(self, call: StreamCall[Result], deadline: Deadline) -> Awaitable[AsyncStream[Result]]:
        """Sends a call whose answers come one after another."""

    async def close(self) -> None:
        """Closes all connections."""


class AsyncClient(
    AsyncTrafficCalls,
    AsyncRolloutCalls,
    AsyncBatchCalls,
    AsyncBatchScheduleCalls,
    AsyncSeriesCalls,
    AsyncPredictionCalls,
):
    """One server, by its management URL, for the tasks of one event loop.

    It predicts, sends feedback, runs and schedules batch jobs, splits traffic, starts rollouts, and
    tells what variants did; `Client` registers and manages too. Arguments, their defaults and
    errors are those of `Client`. Close it, or use it in an `async with` block.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        timeout_s: float = 30.0,
        tls: TlsFiles | None = None,
        **options: Unpack[TransportOptions],
    ) -> None:
        http = HttpOptions(server_url(url), server_key(key), tls_files(tls))
        self._timeout_s = timeout_s
        check_places(options)
        self._places = options
        self._calls = calls_of(options)
        self._signatures = Signatures()
        self._connection = AsyncConnection(http)
        self._sender = AsyncSender(options.get("retries", Retries()))
        self._transport = self._transport_of(http, options)

    def _transport_of(self, http: HttpOptions, options: TransportOptions) -> AsyncTransport:
        if options.get("transport") != "grpc":
            return AsyncRestTransport(
                http, connections_of(options), AsyncServerPlace(self._rest_url)
            )
        from augurium.client.grpc_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(http, AsyncServerPlace(self._grpc_url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends streams, waits for calls that are under way, and closes all connections.

        Whatever is asked later raises ClientClosed.
        """
        await self._sender.close()
        await self._transport.close()
        await self._connection.close()

    @property
    def url(self) -> str:
        """The management URL this client talks to."""
        return self._connection.url

    async def server(self) -> results.Server:
        """The node: its URLs and engines."""
        return await self._server(Deadline(self._timeout_s))

    async def ready(self) -> results.Readiness:
        """Whether every expected engine serves the newest state."""
        return await self._connection.get(
            api_url(self.url, "ready"),
            results.Readiness,
            Deadline(self._timeout_s),
            accepted=httpx.codes.SERVICE_UNAVAILABLE,
        )

    async def shadow_report(self, name: str) -> ShadowReport:
        """As `Client.shadow_report`."""
        return await self._connection.get(
            api_url(self.url, "models", name, "shadow"), ShadowReport, Deadline(self._timeout_s)
        )

    @overload
    async def predict(  # type: ignore[overload-overlap]
        self, name: str, instances: ArrowData, **options: Unpack[CallOptions]
    ) -> PredictionTable: ...

    @overload
    async def predict(
        self, name: str, instances: object, **options: Unpack[CallOptions]
    ) -> Predictions: ...

    async def predict(
        self, name: str, instances: object, **options: Unpack[CallOptions]
    ) -> Predictions | PredictionTable:
        """As `Client.predict`."""
        asked = PredictionSteps(self._calls, self._signatures, name, sendable(instances), options)
        deadline = Deadline(timeout_s(options, self._timeout_s))
        return await self._sender.run(deadline, lambda left: self._sent(asked.steps(), left))

    async def infer(
        self,
        name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None = None,
        binary: bool = True,
        **options: Unpack[CallOptions],
    ) -> Inference:
        """As `Client.infer`."""
        call = self._calls.infer(name, inputs, outputs, binary, options)
        deadline = Deadline(timeout_s(options, self._timeout_s))
        return await self._sender.run(deadline, lambda left: self._transport.send(call, left))

    def stream(
        self, name: str, inputs: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> AsyncGenerator[StreamReply, None]:
        """As `Client.stream`, for `async for`."""
        asked = StreamSteps(self._calls, self._signatures, name, inputs, options)
        deadline = Deadline(timeout_s(options, STREAM_TIMEOUT_S))
        return self._sender.iterate(deadline, lambda left: self._sent(asked.steps(), left))

    async def send_feedback(
        self, rows: Row | Iterable[Row] | AsyncIterable[Row]
    ) -> FeedbackReceipt:
        """As `Client.send_feedback`; the iterator may be asynchronous too."""
        receipts = Receipts()
        async for chunk in async_chunks(rows):
            try:
                receipts.add(chunk, await self._send_chunk(chunk))
            except AuguriumError as error:
                raise receipts.broken(error) from error
        return receipts.total()

    async def _send_chunk(self, chunk: Chunk) -> FeedbackReceipt:
        url = api_url(self.url, "feedback")
        deadline = Deadline(max(self._timeout_s, CHUNK_TIMEOUT_S))
        return await self._sender.run(
            deadline,
            lambda left: self._connection.post(url, FeedbackReceipt, chunk.content, HEADERS, left),
        )

    async def _sent(self, steps: Steps[Result], deadline: Deadline) -> Result:
        """Sends the steps of one attempt."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._step(step, deadline)
                except AuguriumError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            found: Result = end.value
            return found

    async def _step(self, step: Look | Call[Any] | StreamCall[Any], deadline: Deadline) -> Any:
        if isinstance(step, Look):
            return await self._looked(step, deadline)
        if isinstance(step, StreamCall):
            return await self._transport.open(step, deadline)
        return await self._transport.send(step, deadline)

    async def _looked(self, look: Look, deadline: Deadline) -> Any:
        url = api_url(self.url, *look.segments)
        return await self._connection.get(url, look.result, deadline)

    async def _rest_url(self, deadline: Deadline) -> str:
        given = self._places.get("rest_url")
        return (given or (await self._server(deadline)).rest_url).rstrip("/")

    async def _grpc_url(self, deadline: Deadline) -> str:
        return self._places.get("grpc_url") or (await self._server(deadline)).grpc_url

    async def _server(self, deadline: Deadline) -> results.Server:
        found: results.Server = await self._looked(Look(("server",), results.Server), deadline)
        return found
