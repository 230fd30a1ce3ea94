"""Predictions as REST calls: the v1 protocol for instances, v2 for tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from augurium.client import arrow_tables
from augurium.client.call import Answer, Call, StreamCall
from augurium.client.event_stream import GenerateReader
from augurium.client.instances import Instances, plain_value
from augurium.client.prediction_call import CallOptions, call_headers, model_path, reply_fields
from augurium.client.replies import Inference, Predictions, PredictionTable, StreamReply
from augurium.client.tensor_codec import HEAD_LENGTH, decode_answer, encode_request
from augurium.core.errors import AuguriumError
from augurium.core.signature import Signature
from augurium.core.tensors import Array

JSON = {"content-type": "application/json"}
ARROW = {"content-type": arrow_tables.MEDIA_TYPE, "accept": arrow_tables.MEDIA_TYPE}


class RestCalls:
    """The calls of the transport `rest`."""

    needs_signature = False

    def predict(
        self, name: str, instances: Instances, options: CallOptions, _: Signature | None = None
    ) -> Call[Predictions | PredictionTable]:
        """Instances to the v1 protocol, as JSON or as an Arrow stream."""
        target = f"/v1{model_path(name, options)}:predict"
        headers = call_headers(options)
        if instances.rows is None:
            content = arrow_tables.encode_table(instances.table)
            return Call(target, content, ARROW | headers, _table)
        content = msgspec.json.encode({"instances": instances.rows})
        return Call(target, content, JSON | headers, _predictions)

    def infer(
        self,
        name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None,
        binary: bool,
        options: CallOptions,
    ) -> Call[Inference]:
        """Tensors to the Open Inference Protocol v2, as bytes or as JSON."""
        content, headers = encode_request(inputs, outputs, binary)
        target = f"/v2{model_path(name, options)}/infer"
        return Call(target, content, headers | call_headers(options), _inference)

    def stream(
        self,
        name: str,
        inputs: Mapping[str, Any],
        options: CallOptions,
        _: Signature | None = None,
    ) -> StreamCall[StreamReply]:
        """Inputs to the generate extension, whose answers come as server-sent events."""
        content = msgspec.json.encode({key: plain_value(value) for key, value in inputs.items()})
        headers = JSON | {"accept": "text/event-stream"} | call_headers(options)
        target = f"/v2{model_path(name, options)}/generate_stream"
        return StreamCall(target, content, headers, GenerateReader)


class _Predicted(msgspec.Struct, frozen=True):
    predictions: list[Any]


def _predictions(answer: Answer) -> Predictions:
    try:
        found = msgspec.json.decode(answer.content, type=_Predicted).predictions
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AuguriumError(
            f"the server did not answer a prediction as an Augurium server does ({error}); check "
            "its URL, or update the client"
        ) from error
    return Predictions(predictions=found, **reply_fields(answer.headers))


def _table(answer: Answer) -> PredictionTable:
    table = arrow_tables.decode_table(answer.content)
    return PredictionTable(table=table, **reply_fields(answer.headers))


def _inference(answer: Answer) -> Inference:
    found = decode_answer(answer.content, answer.headers.get(HEAD_LENGTH))
    return Inference(outputs=found, **reply_fields(answer.headers))
