"""What every route of the data plane does, for its OpenAPI documents: by method and template."""

from collections.abc import Mapping
from typing import NamedTuple

from augurium.protocols.media_types import Form
from augurium.protocols.oip_json import HEADER_LENGTH

JSON, TEXT, OCTETS = "application/json", "text/plain", "application/octet-stream"
EVENTS, CSV = "text/event-stream", "text/csv"
# what has no schema of its own
BINARY = "binary"

Content = Mapping[str, str]


class Operation(NamedTuple):
    """One route. `answer` and `body` are names of schemas by media type, `refusals` the statuses
    of its errors, which are in the words of the protocol: `Error`, `MlflowError` or plain text.

    `predicts` says that a version answers, and is named in a header.
    """

    id: str
    tag: str
    summary: str
    answer: Content
    refusals: tuple[int, ...] = ()
    body: Content | None = None
    body_required: bool = True
    errors: str = "Error"
    predicts: bool = False
    description: str = ""


def operations() -> dict[tuple[str, str], Operation]:
    """By method and template; what is said of `{model}` holds for its labels too."""
    return {**_NODE, **_OPEN_INFERENCE, **_EXTENSIONS, **_memory(), **_V1, **_MLFLOW}


_LOOK = (400, 404, 503)
_SEND = (400, 413, 415)
_PREDICT = (400, 404, 413, 415, 500, 503, 504)
_ASKED_OF_NODE = (*_SEND, 501, 503, 504)
_ROWS = {JSON: "PredictRequest", Form.LINES.value: BINARY, Form.ARROW.value: BINARY}
_MODEL = "/v2/models/{model}"
_V1_MODEL = "/v1/models/{model}"

_NODE: dict[tuple[str, str], Operation] = {
    ("GET", "/"): Operation("alive", "node", "Whether the server is alive", {JSON: "Alive"}),
    ("GET", "/openapi.json"): Operation(
        "openapi", "node", "This document: every path", {JSON: "Document"}
    ),
    ("GET", "/v2/inference.proto"): Operation(
        "proto", "node", "The protobuf definition of the gRPC service", {TEXT: BINARY}
    ),
}
_OPEN_INFERENCE: dict[tuple[str, str], Operation] = {
    ("GET", "/v2"): Operation("server", "node", "Name, version and extensions", {JSON: "Server"}),
    ("GET", "/v2/health/live"): Operation(
        "live", "node", "Whether the server is alive", {JSON: "Live"}
    ),
    ("GET", "/v2/health/ready"): Operation(
        "ready", "node", "Whether the server takes requests", {JSON: "Ready"}, (503,)
    ),
    ("GET", "/v2/models"): Operation("models", "models", "The deployed models", {JSON: "Models"}),
    ("GET", _MODEL): Operation(
        "metadata", "models", "Versions, inputs and outputs", {JSON: "Metadata"}, _LOOK
    ),
    ("GET", f"{_MODEL}/ready"): Operation(
        "model_ready", "models", "Whether the model answers", {JSON: "ModelReady"}, _LOOK
    ),
    ("GET", f"{_MODEL}/openapi.json"): Operation(
        "model_openapi",
        "models",
        "The OpenAPI document of the model, from its signature",
        {JSON: "Document"},
        _LOOK,
    ),
    ("POST", f"{_MODEL}/infer"): Operation(
        "infer",
        "predictions",
        "Output tensors for input tensors, as JSON or with binary data behind it",
        {JSON: "InferResponse", OCTETS: BINARY},
        _PREDICT,
        {JSON: "InferRequest", OCTETS: BINARY},
        predicts=True,
        description=f"Binary: the header `{HEADER_LENGTH}` says how many bytes the JSON part has"
        " that comes before the tensors; 0: the whole body is the only input.",
    ),
    ("POST", f"{_MODEL}/generate"): Operation(
        "generate",
        "predictions",
        "The only answer as an object, from plain values by name",
        {JSON: "GenerateResponse"},
        _PREDICT,
        {JSON: "GenerateRequest"},
        predicts=True,
    ),
    ("POST", f"{_MODEL}/generate_stream"): Operation(
        "generate_stream",
        "predictions",
        "Every answer as a server-sent event whose data is a GenerateResponse",
        {EVENTS: "Event"},
        _PREDICT,
        {JSON: "GenerateRequest"},
        predicts=True,
    ),
}
_EXTENSIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/v2/models/stats"): Operation(
        "all_statistics", "models", "What the node counted", {JSON: "Statistics"}, (503, 504)
    ),
    ("GET", f"{_MODEL}/stats"): Operation(
        "statistics", "models", "What the node counted", {JSON: "Statistics"}, (*_LOOK, 504)
    ),
    ("GET", f"{_MODEL}/config"): Operation(
        "config", "models", "The model's configuration", {JSON: "ModelConfig"}, _LOOK
    ),
    ("POST", "/v2/repository/index"): Operation(
        "index",
        "repository",
        "Where every version stands",
        {JSON: "Index"},
        _ASKED_OF_NODE,
        {JSON: "IndexRequest"},
        body_required=False,
    ),
    ("POST", "/v2/repository/models/{name}/load"): Operation(
        "load",
        "repository",
        "Loads a model into every engine",
        {JSON: "Loaded"},
        (*_ASKED_OF_NODE, 404, 409),
        {JSON: "LoadRequest"},
        body_required=False,
    ),
    ("POST", "/v2/repository/models/{name}/unload"): Operation(
        "unload",
        "repository",
        "Takes a model out of every engine",
        {JSON: "Unloaded"},
        (*_ASKED_OF_NODE, 404, 409),
        {JSON: "LoadRequest"},
        body_required=False,
    ),
    ("GET", "/v2/logging"): Operation(
        "log_settings", "node", "The log settings", {JSON: "LogSettings"}, (503, 504)
    ),
    ("POST", "/v2/logging"): Operation(
        "set_log_settings",
        "node",
        "Changes log settings",
        {JSON: "LogSettings"},
        _ASKED_OF_NODE,
        {JSON: "LogSettingsRequest"},
        body_required=False,
    ),
}
_NO_TRACES = "Answered with 501: there are no traces"
for _place, _path in (("", "/v2"), ("model_", _MODEL)):
    _unknown = (400,) if _place else ()
    _EXTENSIONS[("GET", f"{_path}/trace/setting")] = Operation(
        f"{_place}trace_settings", "absent", _NO_TRACES, {}, (*_unknown, 501)
    )
    _EXTENSIONS[("POST", f"{_path}/trace/setting")] = Operation(
        f"set_{_place}trace_settings",
        "absent",
        _NO_TRACES,
        {},
        (*_SEND, 501),
        {JSON: "TraceSettingRequest"},
        body_required=False,
    )


def _memory() -> dict[tuple[str, str], Operation]:
    found: dict[tuple[str, str], Operation] = {}
    for kind in ("system", "cuda"):
        path, name = f"/v2/{kind}sharedmemory", f"{kind}_memory"
        sent: Content = {JSON: "MemoryRequest"}
        found |= {
            ("GET", f"{path}/status"): Operation(
                f"{name}_regions", "absent", "No region is registered", {JSON: "MemoryRegions"}
            ),
            ("GET", f"{path}/region/{{region}}/status"): Operation(
                f"{name}_region", "absent", "Answered with 404: no region is", {}, (404,)
            ),
            ("POST", f"{path}/region/{{region}}/register"): Operation(
                f"register_{name}",
                "absent",
                "Answered with 501: there is no shared memory",
                {},
                (*_SEND, 501),
                sent,
                body_required=False,
            ),
            ("POST", f"{path}/unregister"): Operation(
                f"unregister_all_{name}",
                "absent",
                "Afterwards no region is registered",
                {JSON: "Unregistered"},
                _SEND,
                sent,
                body_required=False,
            ),
            ("POST", f"{path}/region/{{region}}/unregister"): Operation(
                f"unregister_{name}",
                "absent",
                "Afterwards no region of that name is registered",
                {JSON: "Unregistered"},
                _SEND,
                sent,
                body_required=False,
            ),
        }
    return found


_V1: dict[tuple[str, str], Operation] = {
    ("GET", "/v1/models"): Operation(
        "v1_models", "models", "The deployed models", {JSON: "Models"}
    ),
    ("GET", _V1_MODEL): Operation(
        "status", "models", "Where the versions stand", {JSON: "Status"}, _LOOK
    ),
    ("GET", f"{_V1_MODEL}/metadata"): Operation(
        "signature", "models", "The signature, as TensorFlow's", {JSON: "SignatureMetadata"}, _LOOK
    ),
    ("POST", f"{_V1_MODEL}:predict"): Operation(
        "predict",
        "predictions",
        "Predictions for rows, or for whole columns",
        {**_ROWS, JSON: "PredictResponse"},
        _PREDICT,
        _ROWS,
        predicts=True,
    ),
    ("POST", f"{_V1_MODEL}:classify"): Operation(
        "classify",
        "predictions",
        "For each example its labels with scores",
        {JSON: "ClassifyResponse"},
        _PREDICT,
        {JSON: "ExamplesRequest"},
        predicts=True,
    ),
    ("POST", f"{_V1_MODEL}:regress"): Operation(
        "regress",
        "predictions",
        "For each example a number",
        {JSON: "RegressResponse"},
        _PREDICT,
        {JSON: "ExamplesRequest"},
        predicts=True,
    ),
    ("POST", f"{_V1_MODEL}:explain"): Operation(
        "explain",
        "predictions",
        "Answered with 501: nothing explains yet",
        {},
        (*_SEND, 404, 501, 503),
        {JSON: "PredictRequest"},
        body_required=False,
    ),
}
_INVOCATIONS = Operation(
    "model_invocations",
    "predictions",
    "Predictions in the words of MLflow's scoring server",
    {JSON: "InvocationsResponse"},
    _PREDICT,
    {JSON: "InvocationsRequest", CSV: BINARY},
    errors="MlflowError",
    predicts=True,
)
_PING = (404, 503)
_MLFLOW: dict[tuple[str, str], Operation] = {
    ("POST", "/invocations"): _INVOCATIONS._replace(
        id="invocations", summary="The same of the default model, or of the only one"
    ),
    ("POST", f"{_V1_MODEL}/invocations"): _INVOCATIONS,
    ("GET", "/ping"): Operation(
        "ping", "node", "Whether a model is deployed", {TEXT: BINARY}, _PING, errors=TEXT
    ),
    ("GET", "/health"): Operation(
        "health", "node", "Whether a model is deployed", {TEXT: BINARY}, _PING, errors=TEXT
    ),
    ("GET", "/version"): Operation("version", "node", "The version of this server", {TEXT: BINARY}),
}
