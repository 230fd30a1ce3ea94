"""JSON Schemas of a version's tensors: bodies of the Open Inference Protocol and of its generate
extension.
"""

from collections.abc import Sequence

from augurium.core.signature import Signature
from augurium.core.tensors import NUMPY_DTYPES, TensorSpec
from augurium.protocols.openapi_schemas import (
    PARAMETERS,
    REQUEST_ID,
    REQUESTED_OUTPUT,
    TENSOR_PARAMETERS,
    one_of,
)
from augurium.protocols.openapi_values import Schema, given_value, needed, nested, taken_value

PARAMETER: Schema = {"type": ["string", "number", "boolean"]}


def infer_request(signature: Signature) -> Schema:
    """`inputs`, and the `outputs` that are wanted."""
    required = [spec for spec in signature.inputs if not spec.optional]
    described = [_input_tensor(spec, signature) for spec in signature.inputs]
    schema: Schema = {
        "type": "object",
        "properties": {
            "id": REQUEST_ID,
            "parameters": PARAMETERS,
            "inputs": {
                "type": "array",
                "items": one_of(described),
                "minItems": len(required),
                "maxItems": len(signature.inputs),
            },
            "outputs": {
                "type": "array",
                "description": "the outputs that are wanted, each once; all without it",
                "items": _with(
                    REQUESTED_OUTPUT, {"name": {"enum": [s.name for s in signature.outputs]}}
                ),
            },
        },
        "required": ["inputs"],
    }
    if any(spec.features for spec in signature.inputs):
        schema["description"] = (
            "A matrix of named features may also be sent as an input of its own for each feature,"
            " of shape [rows]."
        )
    return schema


def _with(schema: Schema, properties: Schema) -> Schema:
    return {**schema, "properties": {**schema["properties"], **properties}}


def _input_tensor(spec: TensorSpec, signature: Signature) -> Schema:
    value = taken_value(spec)
    if spec.moment or spec.lenient:
        # the datatype says which values these are, and others are taken too
        value = {}
    schema: Schema = {
        "type": "object",
        "title": spec.name,
        "properties": {
            "name": {"const": spec.name},
            "shape": _shape(spec),
            "datatype": _datatype(spec),
            "data": {
                "description": "row-major, flat or nested like the shape",
                "anyOf": [
                    nested(value, [-1]),
                    *([nested(value, spec.shape)] if len(spec.shape) > 1 else []),
                ],
            },
            "parameters": TENSOR_PARAMETERS,
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    if spec.features:
        schema["description"] = "a row has these features: " + ", ".join(spec.features)
    if signature.batched:
        schema["properties"]["shape"]["description"] = "rows first"
    return schema


def _datatype(spec: TensorSpec) -> Schema:
    if spec.lenient:
        return {"enum": list(NUMPY_DTYPES)}
    return {"enum": [spec.datatype, "BYTES"]} if spec.moment else {"const": spec.datatype}


def _shape(spec: TensorSpec) -> Schema:
    extents = [
        {"const": extent} if extent >= 0 else {"type": "integer", "minimum": 1}
        for extent in spec.shape
    ]
    return {
        "type": "array",
        **({"prefixItems": extents} if extents else {}),
        "items": {"type": "integer"},
        "minItems": len(extents),
        "maxItems": len(extents),
    }


def infer_response(signature: Signature) -> Schema:
    """The outputs, each as JSON or behind it."""
    outputs = [
        {
            "type": "object",
            "title": spec.name,
            "properties": {
                "name": {"const": spec.name},
                # classes are texts
                "datatype": {"enum": list(dict.fromkeys([spec.datatype, "BYTES"]))},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "data": nested(one_of([given_value(spec), {"type": "string"}]), [-1]),
                "parameters": TENSOR_PARAMETERS,
            },
            "required": ["name", "datatype", "shape"],
        }
        for spec in signature.outputs
    ]
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": one_of(outputs)},
        },
        "required": ["model_name", "model_version", "outputs"],
    }


def generate_request(signature: Signature) -> Schema:
    """Inputs by name as plain values, and parameters beside them."""
    properties: dict[str, Schema] = {
        "id": REQUEST_ID,
        "timeout": {"type": "integer", "minimum": 0, "description": "microseconds"},
        "parameters": {"type": "object", "additionalProperties": PARAMETER},
    }
    for spec in signature.inputs:
        value = taken_value(spec)
        properties[spec.name] = _rows_of(value, spec.shape, signature.batched)
        properties |= {name: _rows_of(value, (-1,), True) for name in spec.features}
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": PARAMETER,
        "description": "Inputs by name, as rows or as one row; other keys are parameters.",
    }
    wanted = needed(signature)
    return {**schema, "allOf": wanted} if wanted else schema


def _rows_of(value: Schema, shape: Sequence[int], batched: bool) -> Schema:
    """All rows, one row, or, where a row is one value, the bare value."""
    whole = nested(value, shape)
    forms = [{**whole, "minItems": 1} if batched else whole]
    bare = all(extent in (-1, 1) for extent in shape)
    if batched:
        forms.append(nested(value, shape[1:]))
        bare = tuple(shape) in ((-1,), (-1, 1))
    return one_of([*forms, value] if bare else forms)


def generate_response(signature: Signature) -> Schema:
    """Outputs by name as plain values."""
    said: dict[str, Schema] = {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
    }
    for spec in signature.outputs:
        value = given_value(spec)
        said[spec.name] = one_of(
            [nested(value, shape) for shape in (spec.shape, spec.shape[1:], ())]
        )
    return {
        "type": "object",
        "properties": {"id": {"type": "string"}, **said},
        "required": list(said),
    }
