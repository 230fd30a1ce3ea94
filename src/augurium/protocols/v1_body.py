"""The bodies of the v1 protocol.

Source: TensorFlow Serving, RESTful API; KServe, V1 protocol.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from augurium.core.errors import InvalidArgument
from augurium.protocols import json_tokens
from augurium.protocols.json_depth import UNREADABLE, check_depth

DEFAULT_SIGNATURE = "serving_default"

T = TypeVar("T")


class PredictBody(msgspec.Struct):
    """Rows as `instances`, or whole inputs as `inputs`; other keys are ignored."""

    instances: list[Any] | UnsetType = UNSET
    inputs: Any = UNSET
    signature_name: str | None = None


class ExamplesBody(msgspec.Struct):
    """Rows as objects of features; those of `context` are the same for all of them."""

    examples: list[dict[str, Any]]
    context: dict[str, Any] = {}
    signature_name: str | None = None


_predict = msgspec.json.Decoder(PredictBody)
_examples = msgspec.json.Decoder(ExamplesBody)


def predict_body(content: bytes, max_depth: int) -> PredictBody:
    """Raises InvalidArgument for a body that has not exactly one of `instances` and `inputs`."""
    body = _decoded(
        _predict,
        content,
        max_depth,
        '{"instances": [row, ...]} with rows as lists or'
        ' objects of features, or {"inputs": {name: values}}',
    )
    if (body.instances is UNSET) is (body.inputs is UNSET):
        found = "neither" if body.inputs is UNSET else "both"
        raise InvalidArgument(
            "expected one of 'instances' (rows) and 'inputs' (columns) in the request, found"
            f" {found}"
        )
    if body.signature_name is not None:
        check_signature_name(body.signature_name)
    return body


def examples_body(content: bytes, max_depth: int) -> ExamplesBody:
    """Raises InvalidArgument for a body without examples."""
    expected = '{"examples": [{feature: value}, ...]}, and what they share as "context"'
    body = _decoded(_examples, content, max_depth, expected)
    if body.signature_name is not None:
        check_signature_name(body.signature_name)
    if not body.examples:
        raise InvalidArgument("'examples' is empty; send at least one")
    return body


def check_signature_name(name: str) -> None:
    """Raises InvalidArgument for any signature but the only one there is."""
    if name not in (DEFAULT_SIGNATURE, ""):
        raise InvalidArgument(
            f'Serving signature name: "{name[:64]}" not found in signature def; leave'
            f" 'signature_name' out, or send '{DEFAULT_SIGNATURE}'"
        )


def _decoded(decoder: msgspec.json.Decoder[T], content: bytes, max_depth: int, expected: str) -> T:
    check_depth(content, max_depth)
    try:
        return json_tokens.decode(decoder, content)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"expected {expected}: {error}") from error
    except UNREADABLE as error:
        raise InvalidArgument(f"failed to parse the request JSON: {error}") from error
