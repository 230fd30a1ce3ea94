"""Good requests, from which the bad ones are made: one per form that a protocol knows."""

import json

from tests.fuzz.served import FIRST, SECOND, image_message, infer_message

Seed = tuple[str, str, dict[str, str], bytes]

HEADER_LENGTH = "inference-header-content-length"
V2 = "/v2/models/simple/infer"
V1 = "/v1/models/simple:predict"
TEXT = "/v1/models/text:predict"
INVOCATIONS = "/v1/models/simple/invocations"
JSON = {"content-type": "application/json"}


def _v2(**more: object) -> bytes:
    tensor = {"shape": [1, 16], "datatype": "INT32"}
    inputs = [
        {"name": "INPUT0", "data": FIRST.tolist(), **tensor},
        {"name": "INPUT1", "data": [SECOND.tolist()], **tensor},
    ]
    return json.dumps({"id": "a", "inputs": inputs, **more}).encode()


def _binary() -> Seed:
    tensor = {"shape": [1, 16], "datatype": "INT32"}
    head = json.dumps(
        {
            "inputs": [
                {"name": "INPUT0", "parameters": {"binary_data_size": 64}, **tensor},
                {"name": "INPUT1", "data": SECOND.tolist(), **tensor},
            ],
            "parameters": {"binary_data_output": True, "timeout": 1_000_000},
        }
    ).encode()
    return "POST", V2, {HEADER_LENGTH: str(len(head))}, head + FIRST.tobytes()


def _strings() -> Seed:
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "shape": [1, 2],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": 11},
                }
            ],
            "outputs": [{"name": "same", "parameters": {"binary_data": False}}],
        }
    ).encode()
    blob = b"\x01\0\0\0a\x02\0\0\0\xc3\xa4"
    return "POST", "/v2/models/text/infer", {HEADER_LENGTH: str(len(head))}, head + blob


def _json(path: str, content: object) -> Seed:
    return "POST", path, JSON, json.dumps(content).encode()


ROW = {"INPUT0": FIRST.tolist(), "INPUT1": SECOND.tolist()}
SEEDS: tuple[Seed, ...] = (
    ("POST", V2, {}, _v2()),
    ("POST", V2, {}, _v2(outputs=[{"name": "OUTPUT1", "parameters": {"classification": 2}}])),
    _binary(),
    _strings(),
    ("POST", "/v2/models/text/infer", {HEADER_LENGTH: "0"}, b"\x01\0\0\0a\x02\0\0\0\xc3\xa4"),
    _json(V1, {"instances": [ROW]}),
    _json(V1, {"signature_name": "serving_default", "inputs": {k: [v] for k, v in ROW.items()}}),
    _json(TEXT, {"instances": [["a", {"b64": "YQ=="}]]}),
    _json("/v1/models/image:predict", {"instances": [{"b64": "/9g="}, "a"]}),
    _json("/v1/models/image:classify", {"examples": [{"image": {"b64": "/9g="}}]}),
    ("POST", "/v2/models/image/infer", {HEADER_LENGTH: "0"}, b"\xff\xd8"),
    _json("/v2/models/image/generate", {"image": {"b64": "/9g="}}),
    _json("/v1/models/text:classify", {"examples": [{"text": ["a", "b"]}]}),
    _json("/v1/models/simple:regress", {"context": {"INPUT0": FIRST.tolist()}, "examples": [ROW]}),
    _json(INVOCATIONS, {"dataframe_split": {"columns": ["INPUT0"], "data": [[1], [2]]}}),
    _json(INVOCATIONS, {"dataframe_records": [ROW]}),
    _json(INVOCATIONS, {"inputs": ROW, "params": {"a": 1}}),
    ("POST", INVOCATIONS, {"content-type": "text/csv"}, b"INPUT0,INPUT1\n1,2\n3,4\n"),
    ("POST", V1, {"content-type": "application/x-ndjson"}, json.dumps(ROW).encode() + b"\n"),
    _json("/v2/models/text/generate", {"text": ["a", "b"], "id": "x", "other": 1}),
    _json("/v2/models/text/generate_stream", {"text": ["a", "b"]}),
    _json("/v2/repository/index", {"ready": True}),
    _json("/v2/repository/models/simple/load", {"parameters": {"config": "{}"}}),
    _json("/v2/logging", {"log_verbose_level": 1}),
)
GRPC_SEEDS: tuple[bytes, ...] = (
    infer_message(),
    infer_message(3),
    b"\x0a\x06simple",
    image_message(),
)
