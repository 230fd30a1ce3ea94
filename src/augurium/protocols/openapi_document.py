"""OpenAPI documents: of the whole data plane, and of one model.

Source: OpenAPI Specification 3.1.1.
"""

import importlib.util
from collections.abc import Iterable
from typing import Any

from augurium import __version__
from augurium.core.identifiers import ModelRef
from augurium.protocols.media_types import Form
from augurium.protocols.openapi_example import example_bodies
from augurium.protocols.openapi_operations import Operation, operations
from augurium.protocols.openapi_paths import (
    BEARER,
    PathWriter,
    Place,
    filled,
    header_components,
    key_of,
    places_of,
    response_components,
)
from augurium.protocols.openapi_schemas import shared_schemas
from augurium.protocols.openapi_signature import answers_to_examples, signature_schemas
from augurium.protocols.openapi_values import Schema
from augurium.protocols.routing import Route
from augurium.serving.snapshot import DesiredVersion

OPENAPI = "3.1.1"
_MODEL_PART = "{model}"
# of a model's paths, those that answer that there is no such thing here
_LEFT_OUT = frozenset({"absent"})
_EXPLAIN = "explain"


def node_document(routes: Iterable[Route], secured: bool) -> Schema:
    """The document of every route. Raises KeyError for a route that the table does not describe."""
    table, writer = operations(), PathWriter(secured, {}, _spoken)
    paths: Schema = {}
    for route in routes:
        for place in places_of(route):
            described = table[key_of(route)]
            written = writer.operation(route, place, described)
            paths.setdefault(place.path, {})[route.method.lower()] = written
    info = {
        "title": "Augurium, the data plane",
        "version": __version__,
        "description": (
            "Predictions over REST. Every model has a document of its own, with its inputs, outputs"
            " and an example row: `/v2/models/{model}/openapi.json`. The gRPC service is in"
            " `/v2/inference.proto`."
        ),
    }
    return _document(info, paths, shared_schemas(), table, secured)


def model_document(
    routes: Iterable[Route], model: ModelRef, desired: DesiredVersion, secured: bool
) -> Schema:
    """The document of the version that answers to `model`, at the paths that name it so."""
    signature = desired.signature
    table, examples = operations(), example_bodies(signature, next(iter(desired.examples), None))
    answers = answers_to_examples(signature)
    writer = PathWriter(secured, examples, _spoken)
    rows = PathWriter(secured, examples, lambda media: _spoken(media) and _is_of_tensors(media))
    paths: Schema = {}
    for route in routes:
        if _MODEL_PART not in route.template:
            continue
        described = table[key_of(route)]
        if described.tag in _LEFT_OUT or described.id == _EXPLAIN:
            continue
        if described.id in ("classify", "regress") and described.id not in answers:
            continue
        chosen = writer if signature.batched and not signature.streamed else rows
        path = filled(route.template, model)
        written = chosen.operation(route, Place(path, ""), described)
        paths.setdefault(path, {})[route.method.lower()] = written
    schemas = {**shared_schemas(), **signature_schemas(signature)}
    return _document(_model_info(desired), paths, schemas, table, secured)


def _model_info(desired: DesiredVersion) -> Schema:
    description = f"Version {desired.version} of the model `{desired.model}`."
    if desired.signature.streamed:
        description += (
            " It may give any number of answers to a request: `generate_stream` takes them all,"
            " every other path is for requests that have exactly one."
        )
    return {"title": desired.model, "version": str(desired.version), "description": description}


def _document(
    info: Schema,
    paths: Schema,
    schemas: Schema,
    table: dict[Any, Operation],
    secured: bool,
) -> Schema:
    components: Schema = {
        "schemas": schemas,
        "responses": response_components(table.values(), secured),
        "headers": header_components(),
    }
    if secured:
        components["securitySchemes"] = {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "description": "a key of `augurium keys create`, or a token of the issuer",
            }
        }
    used = _reachable({"paths": paths}, components)
    return {
        "openapi": OPENAPI,
        "info": info,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            kind: {name: found for name, found in entries.items() if (kind, name) in used}
            if kind != "securitySchemes"
            else entries
            for kind, entries in components.items()
        },
    }


def _reachable(tree: Any, components: Schema) -> set[tuple[str, str]]:
    """What is referred to, from the paths on: a document of one model holds no more."""
    found: set[tuple[str, str]] = set()
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            # an example may have a feature of this name, with any value
            target = str(part.get("$ref", "")).removeprefix("#/components/")
            kind, _, name = target.partition("/")
            if name in components.get(kind, {}) and (kind, name) not in found:
                found.add((kind, name))
                waiting.append(components[kind][name])
            waiting += part.values()
    return found


def _spoken(media_type: str) -> bool:
    """Arrow needs a package that not every node has."""
    return media_type != Form.ARROW.value or importlib.util.find_spec("pyarrow") is not None


def _is_of_tensors(media_type: str) -> bool:
    return media_type not in (Form.ARROW.value, Form.LINES.value)
