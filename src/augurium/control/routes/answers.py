"""What routes answer: structs as JSON, and how they stand in the OpenAPI description."""

from typing import Any

import msgspec
from starlette.responses import Response

REFERENCE = "#/components/schemas/{name}"


def answer(value: msgspec.Struct, status: int = 200) -> Response:
    """A struct as a JSON response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def described(
    answers: type[msgspec.Struct], takes: type[msgspec.Struct] | None = None, status: int = 200
) -> dict[str, Any]:
    """Arguments for a route decorator: what the route answers and which JSON body it takes."""
    arguments: dict[str, Any] = {
        "status_code": status,
        "response_class": Response,
        "responses": {status: {"content": _content(answers)}},
    }
    if takes is not None:
        arguments["openapi_extra"] = {"requestBody": {"required": True, "content": _content(takes)}}
    return arguments


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}
