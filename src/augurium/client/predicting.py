"""The part of the client that predicts: steps, sent by threads."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, Unpack, overload

from augurium.client import results
from augurium.client.arrow_tables import ArrowData
from augurium.client.call import Call, StreamCall
from augurium.client.connection import Connection, HttpOptions, api_url
from augurium.client.deadline import Deadline
from augurium.client.instances import sendable
from augurium.client.prediction_call import STREAM_TIMEOUT_S, CallOptions, timeout_s
from augurium.client.prediction_steps import PredictionSteps, StreamSteps
from augurium.client.replies import Inference, Predictions, PredictionTable, StreamReply
from augurium.client.rest_transport import RestTransport
from augurium.client.retries import Retries
from augurium.client.sender import Sender, Stream
from augurium.client.server_place import ServerPlace
from augurium.client.signatures import Look, Signatures, Steps
from augurium.client.transport_options import (
    TransportOptions,
    calls_of,
    check_places,
    connections_of,
)
from augurium.core.errors import AuguriumError
from augurium.core.tensors import Array

Result = TypeVar("Result")


class Transport(Protocol):
    """What carries one attempt."""

    def send(self, call: Call[Result], deadline: Deadline) -> Result:
        """Sends a call and reads its answer."""

    def open(self, call: StreamCall[Result], deadline: Deadline) -> Stream[Result]:
        """Sends a call whose answers come one after another."""

    def close(self) -> None:
        """Closes all connections."""


class Predicting:
    """Predictions for instances and tensors, whole and streamed."""

    _connection: Connection
    _timeout_s: float

    def _begin_predicting(self, http: HttpOptions, options: TransportOptions) -> None:
        check_places(options)
        self._places = options
        self._calls = calls_of(options)
        self._signatures = Signatures()
        self._sender = Sender(options.get("retries", Retries()))
        self._transport = self._transport_of(http, options)

    def _transport_of(self, http: HttpOptions, options: TransportOptions) -> Transport:
        if options.get("transport") != "grpc":
            return RestTransport(http, connections_of(options), ServerPlace(self._rest_url))
        # an import of 30 ms, which every command would pay
        from augurium.client.grpc_transport import GrpcTransport

        return GrpcTransport(http, ServerPlace(self._grpc_url))

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, name: str, instances: ArrowData, **options: Unpack[CallOptions]
    ) -> PredictionTable: ...

    @overload
    def predict(
        self, name: str, instances: object, **options: Unpack[CallOptions]
    ) -> Predictions: ...

    def predict(
        self, name: str, instances: object, **options: Unpack[CallOptions]
    ) -> Predictions | PredictionTable:
        """Predictions for rows or objects of named features.

        `instances` is a list, a NumPy array, a DataFrame, or an Arrow table with a column per
        feature, which goes as one and comes back as one. Raises InvalidArgument for rows the
        version's signature refuses.
        """
        asked = PredictionSteps(self._calls, self._signatures, name, sendable(instances), options)
        deadline = Deadline(timeout_s(options, self._timeout_s))
        return self._sender.run(deadline, lambda left: self._sent(asked.steps(), left))

    def infer(
        self,
        name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None = None,
        binary: bool = True,
        **options: Unpack[CallOptions],
    ) -> Inference:
        """Output tensors for input tensors, over the Open Inference Protocol v2.

        `outputs` names those wanted, None means all. `binary` sends and asks for bytes instead of
        JSON; gRPC always does. Raises InvalidArgument for tensors the version's signature refuses.
        """
        call = self._calls.infer(name, inputs, outputs, binary, options)
        deadline = Deadline(timeout_s(options, self._timeout_s))
        return self._sender.run(deadline, lambda left: self._transport.send(call, left))

    def stream(
        self, name: str, inputs: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> Generator[StreamReply, None, None]:
        """The answers of a model that gives several to one request, as they come.

        `inputs` are values by input, without the batch dimension; what is no input is a parameter.
        `timeout_ms` bounds the whole stream, which may take ten minutes otherwise. Raises, while it
        is iterated, the error that stands in place of an answer; only a stream that gave none yet
        is tried again.
        """
        asked = StreamSteps(self._calls, self._signatures, name, inputs, options)
        deadline = Deadline(timeout_s(options, STREAM_TIMEOUT_S))
        return self._sender.iterate(deadline, lambda left: self._sent(asked.steps(), left))

    def _end_predicting(self) -> None:
        self._sender.close()
        self._transport.close()

    def _sent(self, steps: Steps[Result], deadline: Deadline) -> Result:
        """Sends the steps of one attempt."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._step(step, deadline)
                except AuguriumError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            found: Result = end.value
            return found

    def _step(self, step: Look | Call[Any] | StreamCall[Any], deadline: Deadline) -> Any:
        if isinstance(step, Look):
            return self._looked(step, deadline)
        if isinstance(step, StreamCall):
            return self._transport.open(step, deadline)
        return self._transport.send(step, deadline)

    def _looked(self, look: Look, deadline: Deadline) -> Any:
        left_s = deadline.check(self._connection.url)
        url = api_url(self._connection.url, *look.segments)
        return self._connection.call("GET", url, look.result, timeout_s=left_s)

    def _rest_url(self, deadline: Deadline) -> str:
        given = self._places.get("rest_url")
        return (given or self._server(deadline).rest_url).rstrip("/")

    def _grpc_url(self, deadline: Deadline) -> str:
        return self._places.get("grpc_url") or self._server(deadline).grpc_url

    def _server(self, deadline: Deadline) -> results.Server:
        found: results.Server = self._looked(Look(("server",), results.Server), deadline)
        return found
