"""JSON Schemas of what the data plane takes and gives, whatever the model."""

from collections.abc import Sequence

from augurium.core.errors import ErrorKind
from augurium.core.tensors import NUMPY_DTYPES
from augurium.protocols.generate_body import ID
from augurium.protocols.mlflow_errors import ERROR_CODES
from augurium.protocols.oip_log_settings import FORMAT
from augurium.protocols.openapi_values import Schema
from augurium.protocols.v1_body import DEFAULT_SIGNATURE

NAME_SCHEMA: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
REQUEST_ID: Schema = {"type": "string", "maxLength": 256, "pattern": "^[ -~]*$"}
PARAMETERS: Schema = {
    "type": "object",
    "description": "names that begin with `triton_` are reserved",
    "propertyNames": {"pattern": "^(?!triton_)"},
    "properties": {
        "timeout": {"type": ["integer", "null"], "minimum": 0, "description": "microseconds"},
        "binary_data_output": {"type": "boolean"},
    },
}
TENSOR_PARAMETERS: Schema = {
    "type": "object",
    "properties": {"binary_data_size": {"type": "integer", "minimum": 0}},
}
SIGNATURE_NAME: Schema = {"enum": [DEFAULT_SIGNATURE, "", None]}
REQUESTED_OUTPUT: Schema = {
    "type": "object",
    "properties": {
        "name": NAME_SCHEMA,
        "parameters": {
            "type": "object",
            "properties": {
                "binary_data": {"type": "boolean"},
                "classification": {"type": "integer", "minimum": 1},
            },
        },
    },
    "required": ["name"],
}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(schemas: Sequence[Schema]) -> Schema:
    """Any of several schemas; the only one as it is."""
    different = [schema for at, schema in enumerate(schemas) if schema not in schemas[:at]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def closed(properties: dict[str, Schema], required: Sequence[str]) -> Schema:
    """An object of these keys and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def shared_schemas() -> dict[str, Schema]:
    """The schemas by name."""
    return {**_FIXED, **_ERRORS}


def _object(properties: dict[str, Schema], *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_EXTENTS = _list({"type": "integer", "minimum": -1})
_TENSOR = _object(
    {"name": NAME_SCHEMA, "datatype": {"enum": list(NUMPY_DTYPES)}, "shape": _EXTENTS}
)
_DURATION = _object({"count": COUNT, "ns": COUNT})
_SENT_TENSOR = _object(
    {
        "name": NAME_SCHEMA,
        "shape": _list(COUNT),
        "datatype": {"enum": list(NUMPY_DTYPES)},
        "data": {"type": "array", "description": "row-major, flat or nested like the shape"},
        "parameters": TENSOR_PARAMETERS,
    },
    "parameters",
    "data",
)
_LOG_SETTINGS: dict[str, Schema] = {
    "log_file": {"const": ""},
    "log_info": {"type": "boolean"},
    "log_warning": {"type": "boolean"},
    "log_error": {"const": True},
    "log_verbose_level": COUNT,
    "log_format": {"const": FORMAT},
}
_ROWS: Schema = {"type": "array", "minItems": 1}

_FIXED: dict[str, Schema] = {
    "Alive": _object({"status": {"const": "alive"}}),
    "Live": _object({"live": {"const": True}}),
    "Ready": _object({"ready": {"const": True}}),
    "Server": _object(
        {"name": NAME_SCHEMA, "version": NAME_SCHEMA, "extensions": _list(NAME_SCHEMA)}
    ),
    "Models": _object({"models": _list(NAME_SCHEMA)}),
    "Metadata": _object(
        {
            "name": NAME_SCHEMA,
            "versions": _list(NAME_SCHEMA),
            "platform": NAME_SCHEMA,
            "inputs": _list(_TENSOR),
            "outputs": _list(_TENSOR),
        }
    ),
    "ModelReady": _object({"name": NAME_SCHEMA, "ready": {"const": True}}),
    "ModelConfig": {
        "type": "object",
        "description": "Triton's ModelConfig",
        "properties": {
            "name": NAME_SCHEMA,
            "platform": NAME_SCHEMA,
            "backend": NAME_SCHEMA,
            "max_batch_size": COUNT,
            "input": _list({"type": "object"}),
            "output": _list({"type": "object"}),
        },
        "required": ["name", "platform", "max_batch_size", "input", "output"],
    },
    "Statistics": _object(
        {
            "model_stats": _list(
                _object(
                    {
                        "name": NAME_SCHEMA,
                        "version": NAME_SCHEMA,
                        "last_inference": COUNT,
                        "inference_count": COUNT,
                        "execution_count": COUNT,
                        "inference_stats": {"type": "object", "additionalProperties": _DURATION},
                        "response_stats": {"type": "object"},
                        "batch_stats": _list({"type": "object"}),
                        "memory_usage": _list({"type": "object"}),
                    }
                )
            )
        }
    ),
    "IndexRequest": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    "Index": _list(
        _object(
            {
                "name": NAME_SCHEMA,
                "version": NAME_SCHEMA,
                "state": {"enum": ["READY", "LOADING", "UNAVAILABLE"]},
                "reason": NAME_SCHEMA,
            }
        )
    ),
    "LoadRequest": {"type": "object", "properties": {"parameters": {"type": "object"}}},
    "Loaded": _object({"name": NAME_SCHEMA, "load": {"const": True}}),
    "Unloaded": _object({"name": NAME_SCHEMA, "unload": {"const": True}}),
    "LogSettingsRequest": closed(_LOG_SETTINGS, []),
    "LogSettings": _object(_LOG_SETTINGS),
    "TraceSettingRequest": {"description": "not looked at"},
    "MemoryRequest": {"description": "not looked at"},
    "MemoryRegions": {"type": "array", "maxItems": 0},
    "Unregistered": {"type": "object"},
    "InferRequest": _object(
        {
            "id": REQUEST_ID,
            "parameters": PARAMETERS,
            "inputs": _list(_SENT_TENSOR),
            "outputs": _list(REQUESTED_OUTPUT),
        },
        "id",
        "parameters",
        "outputs",
    ),
    "InferResponse": _object(
        {
            "model_name": NAME_SCHEMA,
            "model_version": NAME_SCHEMA,
            "id": NAME_SCHEMA,
            "outputs": _list(_SENT_TENSOR),
        },
        "id",
    ),
    "GenerateRequest": {
        "type": "object",
        "properties": {ID: REQUEST_ID, "parameters": {"type": "object"}},
        "description": "Inputs by name, as rows or as one row; other keys are parameters.",
    },
    "GenerateResponse": {
        "type": "object",
        "properties": {
            ID: NAME_SCHEMA,
            "model_name": NAME_SCHEMA,
            "model_version": NAME_SCHEMA,
        },
        "required": ["model_name", "model_version"],
    },
    "PredictRequest": {
        "type": "object",
        "properties": {
            "instances": ref("Rows"),
            "inputs": {"description": "whole inputs, or features, by name"},
            "signature_name": SIGNATURE_NAME,
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    },
    "Rows": {
        **_ROWS,
        "description": "all of them objects of named features, or values in the signature's order",
    },
    "Prediction": {
        "description": "the value of the only output, or an object of outputs by name",
    },
    "PredictResponse": {
        "type": "object",
        "properties": {"predictions": _list(ref("Prediction")), "outputs": {}},
        "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
    },
    "ExamplesRequest": _object(
        {
            "signature_name": SIGNATURE_NAME,
            "examples": {**_ROWS, "items": {"type": "object"}},
            "context": {"type": "object"},
        },
        "signature_name",
        "context",
    ),
    "ClassifyResponse": _object(
        {name: _list(_list({"type": "array"})) for name in ("result", "results")}
    ),
    "RegressResponse": _object(
        {name: _list({"type": ["number", "null"]}) for name in ("result", "results")}
    ),
    "Status": _object(
        {
            "name": NAME_SCHEMA,
            "ready": {"type": "boolean"},
            "error": NAME_SCHEMA,
            "model_version_status": _list(
                _object(
                    {
                        "version": NAME_SCHEMA,
                        "state": {"enum": ["AVAILABLE", "LOADING", "END"]},
                        "status": _object(
                            {"error_code": NAME_SCHEMA, "error_message": NAME_SCHEMA}
                        ),
                    }
                )
            ),
        },
        "error",
    ),
    "SignatureMetadata": _object(
        {"model_spec": {"type": "object"}, "metadata": {"type": "object"}}
    ),
    "InvocationsRequest": {
        "type": "object",
        "description": (
            "exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`"
        ),
    },
    "InvocationsResponse": {
        "description": (
            "`predictions`; for a body of the Open Inference Protocol, its answer; for one with"
            " `messages`, `prompt` or `input` the prediction alone"
        ),
        "anyOf": [_object({"predictions": {"type": "array"}}), ref("InferResponse"), {}],
    },
    # before OpenAPI 3.2 the schema of a stream is that of one event
    "Event": {
        "type": "object",
        "description": "each answer as `data: {...}` and an empty line; an error after the first"
        " answer is the last event",
        "properties": {
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [ref("GenerateResponse"), ref("StreamError")]},
            }
        },
        "required": ["data"],
    },
    "Document": {"type": "object", "description": "an OpenAPI 3.1 document"},
}
_ERRORS: dict[str, Schema] = {
    "Error": _object(
        {"error": {"type": "string", "description": "what was wrong, and what to do"}}
    ),
    "StreamError": _object(
        {"error": {"type": "string"}, "kind": {"enum": [kind.value for kind in ErrorKind]}}
    ),
    "MlflowError": _object(
        {"error_code": {"enum": sorted(set(ERROR_CODES.values()))}, "message": NAME_SCHEMA}
    ),
}
