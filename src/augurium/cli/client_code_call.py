"""The call that a program makes: where it goes, and what it sends."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from augurium.core.errors import Unprocessable
from augurium.core.identifiers import ModelRef

PREDICT, STREAM, TENSORS = "predict", "generate_stream", "infer"
LARGEST_EXACT = 2**53


class ExampleCall(NamedTuple):
    """A model with its example. `path` and `body` are of REST, `streamed` says that the answer is a
    stream of events. `tensors` are the inputs of the Open Inference Protocol; none where the body
    has rows or is for a stream.
    """

    model: ModelRef
    management_url: str
    url: str
    body: dict[str, Any]
    streamed: bool = False
    tensors: tuple[dict[str, Any], ...] = ()


def example_call(
    model: ModelRef, document: Mapping[str, Any], management_url: str, rest_url: str
) -> ExampleCall:
    """The call that a model's OpenAPI document shows: rows where the model takes rows.

    Raises Unprocessable where it shows none.
    """
    found = _examples(document)
    if PREDICT in found:
        path, body = found[PREDICT]
        tensors = () if "instances" in body else tuple(found[TENSORS][1]["inputs"])
        return ExampleCall(model, management_url, rest_url + path, body, tensors=tensors)
    if STREAM in found:
        path, body = found[STREAM]
        return ExampleCall(model, management_url, rest_url + path, body, streamed=True)
    raise Unprocessable(
        f"model '{model}' has too many values in a row to write them into a program; see its paths"
        f" and schemas in {rest_url}/v2/models/{model}/openapi.json"
    )


def json_text(body: Any, indent: int | None = 2) -> str:
    """JSON to stand in a program: what cannot be seen is escaped, so that nothing hides in it."""
    text = json.dumps(body, ensure_ascii=False, indent=indent)
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )


def is_exact_as_doubles(value: Any) -> bool:
    """Whether no number changes in a language that has doubles only."""
    if isinstance(value, dict):
        return all(map(is_exact_as_doubles, value.values()))
    if isinstance(value, list):
        return all(map(is_exact_as_doubles, value))
    return not isinstance(value, int) or abs(value) <= LARGEST_EXACT


def _examples(document: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Path and example body by operation."""
    found = {}
    for path, methods in document["paths"].items():
        operation = methods.get("post", {})
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            found[operation["operationId"]] = path, content["example"]
    return found
