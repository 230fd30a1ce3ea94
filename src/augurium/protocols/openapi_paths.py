"""The paths of an OpenAPI document: a route of the table, as operations that a reader can call."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from augurium.access.rights import DATA_PLANE
from augurium.core.identifiers import MAX_REQUEST_ID_LENGTH, MAX_VERSION, ModelRef
from augurium.core.inference import DEGRADED
from augurium.core.priority import HEADER as PRIORITY_HEADER
from augurium.core.priority import Priority
from augurium.core.settings import MODEL_PATTERN
from augurium.core.traffic_policy import UNIT_HEADER, VARIANT
from augurium.protocols.openapi_operations import BINARY, JSON, TEXT, Content, Operation
from augurium.protocols.openapi_schemas import ref
from augurium.protocols.openapi_values import Schema
from augurium.protocols.routing import Route

BEARER = "bearer"
_LABELS = "{name}/labels/{label}"
_REPOSITORY = "/v2/repository/{repository}"
_NAME: Schema = {"type": "string", "minLength": 1}
_PATH_PARAMETERS: dict[str, Schema] = {
    "model": {
        "type": "string",
        "pattern": MODEL_PATTERN.replace(")?$", ")$"),
        "description": "`name`, `name@alias` or `name@3`",
    },
    "version": {"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
    "label": {**_NAME, "description": "an alias"},
    "region": _NAME,
    "repository": {**_NAME, "description": "there is no other than the registry"},
}
# in whose words an error is told
_WORDS = {"Error": "", "MlflowError": "Mlflow", TEXT: "Text"}
_TIMEOUT = "the caller's deadline in milliseconds; never longer than the server's own"
_UNIT = "who or what asks: a traffic policy gives the same unit the same variant"
_PRIORITY = "who is refused first when not all can be answered: batch, then normal, then critical"


class Place(NamedTuple):
    """A path of a route, and what tells its operation from those of the route's other paths."""

    path: str
    suffix: str


def key_of(route: Route) -> tuple[str, str]:
    """Under what the table has a route: labels are as models, a repository is the only one."""
    template = route.template.replace(_LABELS, "{model}")
    return route.method, template.replace(_REPOSITORY, "/v2/repository")


def places_of(route: Route) -> tuple[Place, ...]:
    """The paths of a route, with the variable parts that OpenAPI knows."""
    template = route.template
    if _LABELS in template:
        return (Place(template.replace("{name}", "{model}"), "_of_label"),)
    if template.startswith(_REPOSITORY):
        return (Place(template.replace("{name}", "{model}"), "_in_repository"),)
    if "{model}" in template:
        versioned = template.replace("{model}", "{model}/versions/{version}")
        return Place(template, ""), Place(versioned, "_of_version")
    return (Place(template.replace("{name}", "{model}"), ""),)


class PathWriter:
    """Writes operations. `secured` is a node that asks who calls; `examples` are bodies by the name
    of their schema, and `forms` says whether a media type is spoken here.
    """

    def __init__(
        self,
        secured: bool,
        examples: Mapping[str, Any],
        forms: Callable[[str], bool] = lambda media_type: True,
    ) -> None:
        self._secured = secured
        self._examples = examples
        self._forms = forms

    def operation(self, route: Route, place: Place, described: Operation) -> Schema:
        """One operation at one of its paths."""
        public = DATA_PLANE[route.operation].public
        absent = place.suffix == "_in_repository"
        written: Schema = {
            "operationId": f"{described.id}{place.suffix}",
            "tags": [described.tag],
            "summary": described.summary,
            "x-augurium-right": route.operation,
            "x-augurium-scopes": sorted(DATA_PLANE[route.operation].scopes),
        }
        if absent:
            written["summary"] = "Answered with 501: the registry is the only repository"
        if described.description:
            written["description"] = described.description
        parameters = [*_path_parameters(place.path), *_headers(route.method)]
        if parameters:
            written["parameters"] = parameters
        if described.body is not None:
            written["requestBody"] = {
                "required": described.body_required,
                "content": self._content(described.body),
            }
        written["responses"] = {} if absent else self._answers(described)
        written["responses"] |= dict(self._refusals(described, public))
        if self._secured:
            written["security"] = [] if public else [{BEARER: []}]
        return written

    def _answers(self, described: Operation) -> Schema:
        if not described.answer:
            return {}
        headers = {"x-request-id": _header_ref("x-request-id")}
        if described.predicts:
            headers["augurium-version"] = _header_ref("augurium-version")
            headers[VARIANT] = _header_ref(VARIANT)
            headers[DEGRADED] = _header_ref(DEGRADED)
        answer = {
            "description": described.summary,
            "headers": headers,
            "content": self._content(described.answer),
        }
        return {"200": answer}

    def _refusals(self, described: Operation, public: bool) -> Iterator[tuple[str, Schema]]:
        statuses = {*described.refusals}
        if self._secured and not public:
            statuses |= {401, 403, 429}
        for status in sorted(statuses):
            errors = described.errors
            if errors == "MlflowError" and status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
                errors = TEXT
            yield str(status), {"$ref": f"#/components/responses/{response_name(status, errors)}"}

    def _content(self, content: Content) -> Schema:
        return {
            media_type: self._media(name)
            for media_type, name in content.items()
            if self._forms(media_type)
        }

    def _media(self, name: str) -> Schema:
        if name == BINARY:
            return {"schema": {"type": "string", "format": "binary"}}
        if name in self._examples:
            return {"schema": ref(name), "example": self._examples[name]}
        return {"schema": ref(name)}


def response_name(status: int, errors: str) -> str:
    """What an error's answer is called among the components."""
    return f"{_WORDS[errors]}{HTTPStatus(status).phrase.title().replace(' ', '').replace('-', '')}"


def response_components(operations: Iterable[Operation], secured: bool) -> Schema:
    """Every answer that one of the operations may refer to."""
    statuses = {status for described in operations for status in described.refusals}
    statuses |= {401, 403, 429} if secured else set()
    return {
        response_name(status, errors): _refusal(status, errors)
        for status in sorted(statuses)
        for errors in _WORDS
    }


def _refusal(status: int, errors: str) -> Schema:
    headers = {"x-request-id": _header_ref("x-request-id")}
    if errors != TEXT:
        headers["augurium-error"] = _header_ref("augurium-error")
    if status in (429, 503) and errors != TEXT:
        headers["retry-after"] = _header_ref("retry-after")
    content: Schema = {JSON: {"schema": ref(errors)}}
    if errors == TEXT:
        content = {TEXT: {"schema": {"type": "string"}}}
    return {"description": HTTPStatus(status).phrase, "headers": headers, "content": content}


def header_components() -> Schema:
    """The headers of answers."""
    return {
        "x-request-id": {
            "description": "the id under which the log knows the request",
            "schema": {"type": "string"},
        },
        "augurium-version": {
            "description": "the version that answered",
            "schema": {"type": "integer", "minimum": 1},
        },
        VARIANT: {
            "description": "the name under which a traffic policy chose the version; absent where"
            " none did",
            "schema": {"type": "string"},
        },
        DEGRADED: {
            "description": "why the fallback answered instead of the version: error, timeout,"
            " overload or breaker; absent where it did not",
            "schema": {"type": "string"},
        },
        "augurium-error": {"description": "the kind of the error", "schema": {"type": "string"}},
        "retry-after": {
            "description": "seconds",
            "schema": {"type": "integer", "minimum": 1},
        },
    }


def filled(template: str, model: ModelRef) -> str:
    """The path of a route for one model."""
    if model.version is not None:
        return template.replace("{model}", f"{model.name}/versions/{model.version}")
    return template.replace("{model}", str(model))


def _header_ref(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _path_parameters(path: str) -> Iterator[Schema]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]}


def _headers(method: str) -> Iterator[Schema]:
    if method != "POST":
        return
    identifier = {
        "type": "string",
        "maxLength": MAX_REQUEST_ID_LENGTH,
        "pattern": "^([!-~]([ -~]*[!-~])?)?$",
    }
    yield _header("x-request-id", "echoed; made up when absent", identifier)
    positive = {"type": "number", "exclusiveMinimum": 0}
    yield _header("augurium-timeout-ms", _TIMEOUT, positive)
    yield _header(UNIT_HEADER, _UNIT, {"type": "string"})
    words = [priority.word for priority in Priority]
    yield _header(PRIORITY_HEADER, _PRIORITY, {"type": "string", "enum": words})


def _header(name: str, meaning: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": meaning, "schema": schema}
