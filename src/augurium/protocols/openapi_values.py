"""JSON Schemas of single values and of nested lists of them, by what a signature says.

Source: JSON Schema 2020-12, which OpenAPI 3.1 uses.
"""

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, TensorSpec, numpy_dtype
from augurium.core.wrapped_bytes import KEY

Schema = dict[str, Any]

FORMATS = {"FP32": "float", "FP64": "double", "INT32": "int32", "INT64": "int64"}
MOST_CATEGORIES_LISTED = 1000
WRAPPED: Schema = {
    "type": "object",
    "description": "bytes that are no text, in Base64",
    "properties": {KEY: {"type": "string", "contentEncoding": "base64"}},
    "required": [KEY],
}


def taken_value(spec: TensorSpec) -> Schema:
    """What one value of an input may be."""
    schema = _plain_value(spec)
    if spec.moment:
        number = {**schema, "description": "seconds since 1970-01-01T00:00:00Z"}
        schema = {"anyOf": [number, {"type": "string", "format": "date-time"}]}
    if spec.lenient:
        own = "string" if spec.datatype == "BYTES" else "number"
        other = {"not": {"type": [own, "array"]}}
        return {"anyOf": [schema, other], "description": "another type is a missing value"}
    return nullable(schema) if spec.nullable else schema


def given_value(spec: TensorSpec) -> Schema:
    """What one value of an output may be: JSON has no NaN and no infinities, so they are null."""
    if spec.datatype in FLOATS:
        return {"type": ["number", "null"]}
    if spec.datatype == "BYTES":
        return {"anyOf": [{"type": "string"}, WRAPPED]}
    return _plain_value(spec)


def nested(value: Schema, shape: Sequence[int]) -> Schema:
    """Lists in lists: one level for each extent, of any length where it is -1."""
    for extent in reversed(shape):
        value = {"type": "array", "items": value}
        if extent >= 0:
            value |= {"minItems": extent, "maxItems": extent}
    return value


def nullable(schema: Schema) -> Schema:
    """The same, or null for a missing value."""
    if "enum" in schema:
        return {**schema, "type": ["string", "null"], "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def needed(signature: Signature) -> list[Schema]:
    """What an object of inputs by name must have: a matrix as such, or each of its features."""
    found: list[Schema] = []
    for spec in signature.inputs:
        if not spec.optional:
            alone = {"required": [spec.name]}
            apart = {"required": list(spec.features)}
            found.append({"oneOf": [alone, apart]} if spec.features else alone)
    return found


def _plain_value(spec: TensorSpec) -> Schema:
    if spec.datatype == "BYTES":
        return _text(spec)
    if spec.datatype == "BOOL":
        return {"type": "boolean"}
    known = {"format": FORMATS[spec.datatype]} if spec.datatype in FORMATS else {}
    if spec.datatype in FLOATS:
        largest = float(ml_dtypes.finfo(numpy_dtype(spec.datatype)).max)  # type: ignore[no-untyped-call]
        return {"type": "number", **known, "minimum": -largest, "maximum": largest}
    limits = np.iinfo(numpy_dtype(spec.datatype))
    return {
        "type": "integer",
        "description": "without a fraction, not even `.0`",
        **known,
        "minimum": int(limits.min),
        "maximum": int(limits.max),
    }


def _text(spec: TensorSpec) -> Schema:
    if not spec.categories:
        return {"type": "string"}
    if spec.cleaning or len(spec.categories) > MOST_CATEGORIES_LISTED:
        # a text that is cleaned first may be written in more ways than can be listed
        how = f", after it is cleaned ({', '.join(spec.cleaning)})" if spec.cleaning else ""
        return {
            "type": "string",
            "description": f"one of {len(spec.categories)} categories{how}",
            "examples": list(spec.categories[:8]),
        }
    return {"type": "string", "enum": list(dict.fromkeys(spec.categories))}
