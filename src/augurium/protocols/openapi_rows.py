"""JSON Schemas of a version's rows: bodies of v1 and of MLflow."""

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.openapi_schemas import SIGNATURE_NAME, closed, one_of, ref
from augurium.protocols.openapi_values import (
    Schema,
    given_value,
    needed,
    nested,
    nullable,
    taken_value,
)
from augurium.protocols.predictions import BINARY_SUFFIX


def rows(signature: Signature) -> Schema:
    """Rows in the v1 form: all of them objects of named features, or all in the signature's order,
    where a row of one value may be given bare.
    """
    by_name = {
        name: taken_value(spec) if spec.features else _row_value(spec)
        for spec in signature.inputs
        for name in (spec.features or (spec.name,))
    }
    own = [name for name in by_name if name not in signature.optional_features]
    return one_of([_some(row) for row in (closed(by_name, own), *_listed_rows(signature))])


def _listed_rows(signature: Signature) -> list[Schema]:
    if len(signature.inputs) == 1:
        return _row_forms(signature.inputs[0])
    in_order = [_row_value(spec) for spec in signature.inputs]
    count = len(in_order)
    return [{"type": "array", "prefixItems": in_order, "minItems": count, "maxItems": count}]


def _row_forms(spec: TensorSpec) -> list[Schema]:
    value = taken_value(spec)
    whole = nested(value, spec.shape[1:])
    return [whole, value] if spec.shape == (-1, 1) else [whole]


def _row_value(spec: TensorSpec) -> Schema:
    return one_of(_row_forms(spec))


def _some(row: Schema) -> Schema:
    return {"type": "array", "items": row, "minItems": 1}


def _column(spec: TensorSpec) -> Schema:
    if spec.shape[:1] != (-1,):
        return nested(taken_value(spec), spec.shape)
    return one_of([_some(row) for row in _row_forms(spec)])


def predict_request(signature: Signature) -> Schema:
    """Rows, or whole columns."""
    columns: dict[str, Schema] = {spec.name: _column(spec) for spec in signature.inputs}
    for spec in signature.inputs:
        value = taken_value(spec)
        columns |= {name: _some(value) for name in spec.features}
    by_name, wanted = closed(columns, []), needed(signature)
    forms: list[Schema] = [{**by_name, "allOf": wanted} if wanted else by_name]
    if len(signature.inputs) == 1:
        forms.append(_column(signature.inputs[0]))
    inputs = {**one_of(forms), "description": "whole inputs, or features, by name"}
    properties: dict[str, Schema] = {"signature_name": SIGNATURE_NAME, "inputs": inputs}
    if not signature.batched:
        return {"type": "object", "properties": properties, "required": ["inputs"]}
    return {
        "type": "object",
        "properties": {"instances": ref("Rows"), **properties},
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }


def prediction(signature: Signature) -> Schema:
    """What one row is answered with: the value of the only output, or an object of them."""
    outputs = {spec.name: nested(_v1_value(spec), spec.shape[1:]) for spec in signature.outputs}
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    return {"type": "object", "properties": outputs, "required": list(outputs)}


def _v1_value(spec: TensorSpec) -> Schema:
    wrapped = spec.datatype == "BYTES" and spec.name.endswith(BINARY_SUFFIX)
    return given_value(spec)["anyOf"][1] if wrapped else given_value(spec)


def predict_response(signature: Signature) -> Schema:
    """A prediction for each row, or whole outputs."""
    outputs = {spec.name: nested(_v1_value(spec), spec.shape) for spec in signature.outputs}
    whole: Schema = {"type": "object", "properties": outputs, "required": list(outputs)}
    if len(outputs) == 1:
        whole = next(iter(outputs.values()))
    by_column: Schema = {
        "type": "object",
        "title": "of inputs",
        "properties": {"outputs": whole},
        "required": ["outputs"],
    }
    if not signature.batched:
        return by_column
    by_row: Schema = {
        "type": "object",
        "title": "of instances",
        "properties": {"predictions": {"type": "array", "items": ref("Prediction")}},
        "required": ["predictions"],
    }
    return {"anyOf": [by_row, by_column]}


def examples_request(signature: Signature) -> Schema:
    """Rows as objects, and what they have in common."""
    features = {
        name: _example_value(spec)
        for spec in signature.inputs
        for name in (spec.features or (spec.name,))
    }
    example = {"type": "object", "properties": features}
    return {
        "type": "object",
        "properties": {
            "signature_name": SIGNATURE_NAME,
            "examples": {"type": "array", "items": example, "minItems": 1},
            "context": {"type": "object", "description": "what the examples have in common"},
        },
        "required": ["examples"],
    }


def _example_value(spec: TensorSpec) -> Schema:
    value = taken_value(spec)
    return one_of([value, nested(value, [1])]) if spec.features else _row_value(spec)


def invocations_request(signature: Signature) -> Schema:
    """One of MLflow's forms, or the tensors of the Open Inference Protocol."""
    table = ["dataframe_split", "dataframe_records", "instances"] if signature.batched else []
    forms: dict[str, Schema] = {
        "dataframe_split": closed(
            {
                "columns": {"type": ["array", "null"], "items": {"type": ["string", "integer"]}},
                "index": {"type": ["array", "null"]},
                "data": {"type": "array", "items": {"type": "array"}, "minItems": 1},
            },
            ["data"],
        ),
        "dataframe_records": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "instances": {"type": "array", "minItems": 1},
    }
    own: Schema = {
        "type": "object",
        "title": "MLflow",
        "properties": {
            **{name: forms[name] for name in table},
            "inputs": {"description": "rows, or columns by name"},
            "params": nullable({"type": "object"}),
        },
        "oneOf": [{"required": [name]} for name in (*table, "inputs")],
    }
    if table:
        names = [name for name in signature.expected_names if name]
        forms["dataframe_records"]["description"] = "by column: " + ", ".join(names)
    return {"anyOf": [own, ref("InferRequest")]}
