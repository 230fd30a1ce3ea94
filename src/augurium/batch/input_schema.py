"""Which column has which feature of a signature, and whether its type will do: known before any
work. Imports pyarrow.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, TensorSpec
from augurium.core.texts import shown

_types = pa.types


class Feature(NamedTuple):
    """A feature of a matrix, or an input by itself, and the column of the files that has it."""

    name: str
    column: str
    spec: TensorSpec
    whole: bool
    """It is an input by itself."""
    width: int | None
    """How many values a row has; None for a single one, which may be in a list of its own."""
    arrow_type: Any
    """In which it is scored; a list is flat."""


def features_of(
    signature: Signature, columns: Mapping[str, str], schema: pa.Schema, file: str
) -> tuple[Feature, ...]:
    """The features for which `file`, whose columns are those of `schema`, has values.

    Raises InvalidArgument for a feature without a column, a mapping of a feature that there is not,
    a name that two columns have, and a column whose type the feature does not take: with the file,
    the column, the type found and what is expected.
    """
    _check_mapping(signature, columns)
    names = frozenset(schema.names)
    found: list[Feature] = []
    missing: list[str] = []
    for spec in signature.inputs:
        whole = not spec.features or spec.name in columns
        if not whole and spec.name in names:
            whole = any(columns.get(name, name) not in names for name in spec.features)
        for name in (spec.name,) if whole else spec.features:
            column = columns.get(name, name)
            if column in names:
                check_single(column, schema, file)
                found.append(_feature(name, column, spec, whole, schema.field(column).type))
            elif not spec.optional or name in columns:
                missing.append(column)
    if missing:
        raise _missing(missing, schema, file)
    for feature in found:
        _check(feature, schema, file)
    return tuple(found)


def check_same(
    features: Sequence[Feature],
    kept: Sequence[str],
    read: pa.Schema,
    schema: pa.Schema,
    first: str,
    file: str,
) -> None:
    """Whether a further file has what is read of the first one, `read`: raises InvalidArgument for
    a column that it lacks, and for a type that the feature does not take or that is kept otherwise.
    """
    names = frozenset(schema.names)
    missing = [name for name in read.names if name not in names]
    if missing:
        raise InvalidArgument(
            f"{file} has no column {shown(missing)}, but {first} has; give files with the same"
            " columns"
        )
    for feature in features:
        _check(feature, schema, file)
    for name in kept:
        kind, expected = schema.field(name).type, read.field(name).type
        if kind != expected:
            raise InvalidArgument(
                f"column '{name}' has the type {kind} in {file}, but {expected} in {first}; write"
                " files with the same types, or do not keep it"
            )


def _feature(name: str, column: str, spec: TensorSpec, whole: bool, kind: Any) -> Feature:
    width = _width(spec) if whole else None
    value = value_type(spec, kind)
    whole_type = value if width is None else pa.list_(value, width)
    return Feature(name, column, spec, whole, width, whole_type)


def check_single(column: str, schema: pa.Schema, file: str) -> None:
    """Raises InvalidArgument for a name that several columns have."""
    if schema.names.count(column) > 1:
        raise InvalidArgument(f"{file} has more than one column '{column}'; give each its own name")


def value_type(spec: TensorSpec, kind: Any = None) -> Any:
    """The Arrow type of a datatype, read from a column of the type `kind`: BF16, which Arrow does
    not have, is FP32, and bytes stay bytes where the model takes any.
    """
    if spec.datatype == "BYTES":
        any_bytes = not (spec.categories or spec.cleaning)
        return pa.binary() if any_bytes and kind is not None and _is_binary(kind) else pa.string()
    return pa.float32() if spec.datatype == "BF16" else pa.from_numpy_dtype(spec.dtype)


def is_text(kind: Any) -> bool:
    """Whether values of a type are strings, or a dictionary of them."""
    if _types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind)
    )


def is_list(kind: Any) -> bool:
    """Whether values of a type are lists."""
    return bool(
        _types.is_list(kind) or _types.is_large_list(kind) or _types.is_fixed_size_list(kind)
    )


def expected_type(feature: Feature) -> str:
    """What is said of the types that a feature takes."""
    spec = feature.spec
    value = {"BYTES": "texts", "BOOL": "true or false"}.get(spec.datatype)
    if value is None:
        value = "numbers" if spec.datatype in FLOATS else f"whole numbers ({spec.datatype})"
    if spec.moment:
        value = "timestamps, dates, ISO 8601 texts or seconds since 1970"
    return value if feature.width is None else f"lists of {feature.width} {value}"


def takes(feature: Feature, kind: Any) -> bool:
    """Whether a feature takes values of an Arrow type; each of them may still be out of range."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if feature.whole and feature.spec.shape[1:]:
        if not is_list(kind):
            return feature.width is None and _takes_value(feature.spec, kind)
        while is_list(kind):
            kind = kind.value_type
    return _takes_value(feature.spec, kind)


def _takes_value(spec: TensorSpec, kind: Any) -> bool:
    if spec.lenient or _types.is_null(kind):
        return not _types.is_nested(kind)
    if is_text(kind):
        return spec.datatype == "BYTES" or spec.moment
    if _types.is_dictionary(kind):
        kind = kind.value_type
    if spec.datatype == "BYTES":
        return _is_binary(kind)
    if spec.datatype == "BOOL":
        return bool(_types.is_boolean(kind))
    if spec.datatype in FLOATS:
        if spec.moment and (_types.is_timestamp(kind) or _types.is_date(kind)):
            return True
        return bool(_types.is_floating(kind) or _types.is_integer(kind) or _types.is_decimal(kind))
    return bool(_types.is_integer(kind))


def _is_binary(kind: Any) -> bool:
    return bool(
        _types.is_binary(kind)
        or _types.is_large_binary(kind)
        or _types.is_fixed_size_binary(kind)
        or _types.is_binary_view(kind)
    )


def _width(spec: TensorSpec) -> int | None:
    """How many values a row of an input has; None for a single one."""
    inner = spec.shape[1:]
    if -1 in inner:
        raise InvalidArgument(
            f"input '{spec.name}' has rows of different sizes, shape {list(spec.shape)}; batch jobs"
            " score inputs whose rows are all of one size"
        )
    width = math.prod(inner)
    return None if width == 1 else width


def _check(feature: Feature, schema: pa.Schema, file: str) -> None:
    check_single(feature.column, schema, file)
    kind = schema.field(feature.column).type
    if not takes(feature, kind):
        raise InvalidArgument(
            f"column '{feature.column}' of {file} has the type {kind}; feature '{feature.name}'"
            f" expects {expected_type(feature)}"
        )


def _check_mapping(signature: Signature, columns: Mapping[str, str]) -> None:
    unknown = [name for name in columns if name not in signature.known_names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], signature.known_names, 1)
        raise InvalidArgument(
            f"the input maps {shown(unknown)}, but the signature has no such feature"
            + (f"; did you mean '{near[0]}'?" if near else "")
            + f"; expected {shown(signature.expected_names)}"
        )


def _missing(missing: Sequence[str], schema: pa.Schema, file: str) -> InvalidArgument:
    by_lower = {name.lower(): name for name in schema.names}
    near = [by_lower[name.lower()] for name in missing if name.lower() in by_lower]
    hint = f"; is it {shown(near)}?" if near else ""
    return InvalidArgument(
        f"{file} has no column {shown(missing)}, which the model needs{hint}; it has"
        f" {shown(schema.names)}; say in the input's columns which column has a feature, such as"
        f" {missing[0][:64]}=COLUMN"
    )
