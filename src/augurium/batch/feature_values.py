"""The values of a column as a model takes them, and the rows in which it cannot. Imports pyarrow.

Values are exact or refused: numbers may have any type that holds them, and what is out of the range
of the signature's datatype is never wrapped or rounded to infinity. Null means missing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from augurium.batch.input_schema import Feature, expected_type, is_text
from augurium.batch.text_values import moments
from augurium.core.tensors import FLOATS, TensorSpec
from augurium.core.texts import cleaned, shown

TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
DAY_S = 86_400.0
MOST_SHOWN = 64

_types = pa.types


class Fault(NamedTuple):
    """Rows that cannot be scored, by their places in a block, and why."""

    places: npt.NDArray[np.intp]
    kind: str
    reason: Callable[[int], str]


class Values(NamedTuple):
    """One value a row; those of rows at fault mean nothing."""

    array: Any
    faults: tuple[Fault, ...] = ()


def single_values(feature: Feature, column: Any) -> Values:
    """The column in the feature's type, texts cleaned, and missing values as the model takes them:
    NaN for floats, `missing_value` for texts. Without a copy where it is in that form already.
    """
    spec, kind = feature.spec, column.type
    if _types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if _types.is_null(kind) or not _fits(spec, kind):
        column = pa.nulls(len(column), feature.arrow_type)
    if spec.datatype == "BYTES":
        return _texts(feature, column)
    if spec.datatype in FLOATS:
        return _floats(feature, column)
    return _whole(feature, column)


def _fits(spec: TensorSpec, kind: Any) -> bool:
    """Whether values may be what is wanted; a lenient input takes others for missing ones."""
    if spec.datatype == "BYTES":
        return is_text(kind) or not (_types.is_primitive(kind) or _types.is_decimal(kind))
    if spec.datatype not in FLOATS or spec.moment:
        return True
    return bool(_types.is_floating(kind) or _types.is_integer(kind) or _types.is_decimal(kind))


def _floats(feature: Feature, column: Any) -> Values:
    spec, target = feature.spec, value_of(feature)
    faults: list[Fault] = []
    if is_text(column.type):
        texts = column
        column, bad = moments(texts)
        if len(bad) and not spec.lenient:
            faults.append(
                Fault(bad, "wrong_type", lambda place: _not(feature, texts[place].as_py()))
            )
    elif _types.is_temporal(column.type):
        column = _seconds(column)
    narrowed = column
    if column.type != target:
        if _types.is_decimal(column.type):
            column = pc.cast(column, pa.float64(), safe=False)
        narrowed = pc.cast(column, target, safe=False)
        faults += _out_of_range(feature, column, narrowed)
    if spec.nullable:
        # Arrow copies them whether any is null or not
        filled = narrowed.fill_null(float("nan")) if narrowed.null_count else narrowed
        return Values(filled, tuple(faults))
    missing = _missing_floats(narrowed)
    if len(missing):
        faults.append(Fault(missing, "missing", lambda _: absent()))
    return Values(narrowed, tuple(faults))


def _missing_floats(array: Any) -> npt.NDArray[np.intp]:
    if not array.null_count:
        values = array.to_numpy(zero_copy_only=True)
        # measured: the smallest of 50 columns is found at 10 GB/s, and it is NaN if any is
        if not len(values) or not np.isnan(values.min()):
            return np.empty(0, np.intp)
        return np.flatnonzero(np.isnan(values))
    # nulls become NaN
    return np.flatnonzero(np.isnan(array.to_numpy(zero_copy_only=False).astype(np.float64)))


def _out_of_range(feature: Feature, wide: Any, narrow: Any) -> list[Fault]:
    if wide.type == pa.float32() and narrow.type == pa.float64():
        return []
    found = np.isinf(narrow.to_numpy(zero_copy_only=False))
    if not found.any():
        return []
    before = wide.to_numpy(zero_copy_only=False)
    places = np.flatnonzero(found & ~np.isinf(before.astype(np.float64)))
    return [Fault(places, "wrong_type", lambda place: _too_large(feature, wide[place].as_py()))]


def _whole(feature: Feature, column: Any) -> Values:
    """Whole numbers, and true or false: what is missing cannot be told from a value."""
    target = value_of(feature)
    faults: list[Fault] = []
    if column.null_count:
        missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        faults.append(Fault(missing, "missing", lambda _: absent()))
        column = column.fill_null(False if target == pa.bool_() else 0)
    if column.type == target:
        return Values(column, tuple(faults))
    try:
        return Values(pc.cast(column, target), tuple(faults))
    except pa.ArrowInvalid:
        limits = np.iinfo(feature.spec.dtype)
        values = column.to_numpy(zero_copy_only=False)
        places = np.flatnonzero((values < limits.min) | (values > limits.max))
        wide = column
        faults.append(
            Fault(places, "wrong_type", lambda place: _too_large(feature, wide[place].as_py()))
        )
    return Values(pc.cast(column, target, safe=False), tuple(faults))


def _texts(feature: Feature, column: Any) -> Values:
    spec, target = feature.spec, value_of(feature)
    faults: list[Fault] = []
    if column.type != target:
        column, bad = _as_texts(column, target)
        if len(bad):
            faults.append(Fault(bad, "wrong_type", lambda _: "the bytes are not UTF-8"))
    if column.null_count:
        if spec.nullable and spec.missing_value is not None:
            column = column.fill_null(spec.missing_value)
        else:
            missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
            missing = np.setdiff1d(missing, faults[0].places) if faults else missing
            faults.append(Fault(missing, "missing", lambda _: absent()))
            column = column.fill_null("")
    if spec.cleaning:
        column = _cleaned(spec, column)
    if spec.categories:
        faults += _unknown(spec, column, faults)
    return Values(column, tuple(faults))


def _as_texts(column: Any, target: Any) -> tuple[Any, npt.NDArray[np.intp]]:
    try:
        return pc.cast(column, target), np.empty(0, np.intp)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        values = [_text_or_none(value) for value in column.to_pylist()]
    array = pa.array(values, target)
    bad = pc.and_(array.is_null(), column.is_valid())
    return array, np.flatnonzero(bad.to_numpy(zero_copy_only=False))


def _text_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _cleaned(spec: TensorSpec, column: Any) -> Any:
    encoded = column.dictionary_encode()
    texts = [
        text if text == spec.missing_value else cleaned(text, spec.cleaning)
        for text in encoded.dictionary.to_pylist()
    ]
    return pa.array(texts, column.type).take(encoded.indices)


def _unknown(spec: TensorSpec, column: Any, others: list[Fault]) -> list[Fault]:
    allowed = [*spec.categories]
    if spec.nullable and spec.missing_value is not None:
        allowed.append(spec.missing_value)
    known = pc.is_in(column, pa.array(allowed, column.type)).to_numpy(zero_copy_only=False)
    if known.all():
        return []
    places = np.flatnonzero(~known)
    for other in others:
        places = np.setdiff1d(places, other.places)
    return [
        Fault(
            places,
            "not_in_signature",
            lambda place: (
                f"the model has not learned {shown_value(column[place].as_py())}; expected one of"
                f" {shown(spec.categories)}"
            ),
        )
    ]


def value_of(feature: Feature) -> Any:
    """The type of one value of a feature."""
    return feature.arrow_type if feature.width is None else feature.arrow_type.value_type


def _seconds(column: Any) -> Any:
    """Seconds since 1970; exact where they fit a double."""
    kind = column.type
    ticks_per_s: float = TICKS["ms"] if _types.is_date64(kind) else 1 / DAY_S
    if _types.is_timestamp(kind):
        ticks_per_s = TICKS[kind.unit]
    ticks = column.view(pa.int32() if _types.is_date32(kind) else pa.int64())
    return pc.divide(pc.cast(ticks, pa.float64(), safe=False), ticks_per_s)


def absent() -> str:
    """What is said of a row without a value."""
    return (
        "the value is missing, which the model does not take; fill it in, or register the model"
        " with training rows that have missing values"
    )


def _too_large(feature: Feature, value: object) -> str:
    return f"{shown_value(value)} is out of the range of {feature.spec.datatype}"


def _not(feature: Feature, value: object) -> str:
    return f"{shown_value(value)} is not what was expected: {expected_type(feature)}"


def shown_value(value: object) -> str:
    """A value, or its beginning, for a message."""
    return repr(value)[:MOST_SHOWN]
