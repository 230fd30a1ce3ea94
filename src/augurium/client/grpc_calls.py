"""Predictions as gRPC calls of the Open Inference Protocol: everything is tensors there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from augurium.client.arrow_tables import table_of_tensors
from augurium.client.call import Answer, Call, StreamCall
from augurium.client.errors import error_of_kind
from augurium.client.inference_messages import (
    InferAnswer,
    decode_infer,
    decode_stream,
    encode_head,
    encode_tensors,
)
from augurium.client.instances import Instances, plain_value
from augurium.client.prediction_call import CallOptions, call_headers, check_one_named, reply_fields
from augurium.client.replies import Inference, Predictions, PredictionTable, StreamReply
from augurium.core.errors import ErrorKind, Internal, InvalidArgument
from augurium.core.inference import Instances as Rows
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec, is_float

SERVICE = "/inference.GRPCInferenceService/"


class GrpcCalls:
    """The calls of the transport `grpc`."""

    needs_signature = True

    def predict(
        self,
        name: str,
        instances: Instances,
        options: CallOptions,
        signature: Signature | None = None,
    ) -> Call[Predictions | PredictionTable]:
        """Instances as the tensors of a signature; rows come back in the form they were given."""
        tensors = tensors_from_instances(Rows(instances.plain), _known(signature))
        read = _predictions if instances.rows is not None else _table
        return Call(
            f"{SERVICE}ModelInfer", _message(name, tensors, options), call_headers(options), read
        )

    def infer(
        self,
        name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None,
        binary: bool,
        options: CallOptions,
    ) -> Call[Inference]:
        """Tensors, always as bytes."""
        content = _message(name, inputs, options, outputs)
        return Call(f"{SERVICE}ModelInfer", content, call_headers(options), _inference)

    def stream(
        self,
        name: str,
        inputs: Mapping[str, Any],
        options: CallOptions,
        signature: Signature | None = None,
    ) -> StreamCall[StreamReply]:
        """One message to `ModelStreamInfer`, which answers with any number.

        What is no input of the model is a parameter.
        """
        expected = _known(signature)
        known = expected.known_names
        tensors = _tensors({key: inputs[key] for key in inputs if key in known}, expected)
        parameters = {key: inputs[key] for key in inputs if key not in known}
        content = _message(name, tensors, options, parameters=parameters)
        return StreamCall(
            f"{SERVICE}ModelStreamInfer", content, call_headers(options), StreamReader
        )


class StreamReader:
    """Reads the messages of a stream."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, message: bytes) -> Iterator[StreamReply]:
        """The reply in this message. Raises the error that stands in place of one."""
        found = decode_stream(message)
        if isinstance(found, str):
            raise error_of_kind(ErrorKind.INTERNAL, found)
        if found.outputs:
            outputs = {name: _value(array) for name, array in found.outputs.items()}
            yield StreamReply(outputs=outputs, **_about(found, self._headers))


def rows_of_tensors(outputs: Mapping[str, Array]) -> list[Any]:
    """One entry per row, as the v1 protocol gives them: a bare value for one output, an object by
    name for several; None where there is no finite number.
    """
    columns = [_rows(array) for array in outputs.values()]
    if len(columns) == 1:
        return columns[0]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _rows(array: Array) -> list[Any]:
    if is_float(array.dtype) and not np.isfinite(array).all():
        plain = array.astype(object)
        plain[~np.isfinite(array)] = None
        array = plain
    if not array.ndim:
        return [array.item()]
    rows: list[Any] = array.tolist()
    return rows


def _message(
    name: str,
    inputs: Mapping[str, Array],
    options: CallOptions,
    outputs: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> bytes:
    check_one_named(name, options)
    alias = options.get("alias")
    model = name if alias is None else f"{name}@{alias}"
    head = encode_head(model, options.get("version"), options.get("request_id"), parameters or {})
    return b"".join([head, *encode_tensors(inputs, outputs)])


def _known(signature: Signature | None) -> Signature:
    if signature is None:
        raise Internal("instances became tensors without a signature")
    return signature


def _predictions(answer: Answer) -> Predictions:
    found = decode_infer(answer.content)
    predictions = rows_of_tensors(found.outputs)
    return Predictions(predictions=predictions, **_about(found, answer.headers))


def _table(answer: Answer) -> PredictionTable:
    found = decode_infer(answer.content)
    return PredictionTable(table=table_of_tensors(found.outputs), **_about(found, answer.headers))


def _inference(answer: Answer) -> Inference:
    found = decode_infer(answer.content)
    return Inference(outputs=found.outputs, **_about(found, answer.headers))


def _about(found: InferAnswer, headers: Mapping[str, str]) -> dict[str, Any]:
    told = reply_fields({**headers, **found.told})
    version = told["version"] if found.version is None else found.version
    return told | {"version": version, "request_id": found.request_id or told["request_id"]}


def _tensors(given: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    specs = signature.input_by_name
    if given.keys() <= specs.keys():
        return {name: _tensor(specs[name], value) for name, value in given.items()}
    row = {name: plain_value(value) for name, value in given.items()}
    return tensors_from_instances(Rows([row]), signature)


def _tensor(spec: TensorSpec, value: Any) -> Array:
    """An input of a stream, which may be given without its leading dimensions."""
    try:
        array = np.asarray(value, spec.dtype)
        missing = len(spec.shape) - array.ndim
        return array.reshape((1,) * missing + array.shape) if missing > 0 else array
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument(
            f"input '{spec.name}' cannot be made {spec.datatype} of shape {list(spec.shape)}:"
            f" {error}"
        ) from error


def _value(array: Array) -> Any:
    if array.size == 1:
        return array.item()
    return (array[0] if array.shape[:1] == (1,) else array).tolist()
