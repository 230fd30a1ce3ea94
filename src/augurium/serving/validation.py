"""Holds a request's tensors against the signature: only what a model can take reaches it."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import DATATYPES, FLOATS, Array, TensorSpec, missing_values
from augurium.core.texts import cleaned
from augurium.serving.raw_features import converted, gathered

MOST_CATEGORIES_SHOWN = 8


class Prepared(Struct, frozen=True, gc=False):
    """Tensors in the signature's order, how many rows they have, and which others they may share a
    run with.
    """

    inputs: Sequence[Array]
    rows: int
    key: object


class InputValidator:
    """Checks the inputs of one version. The texts are those that existing clients look for.

    `takes_bytes` says that the model takes BYTES which are not UTF-8, where these are not learned
    categories.
    """

    def __init__(self, model: str, signature: Signature, takes_bytes: bool = False) -> None:
        self._model = model
        self._takes_bytes = takes_bytes
        self._specs = signature.inputs
        self._names = frozenset(spec.name for spec in signature.inputs)
        self._batched = signature.batched
        self._ragged = any(-1 in spec.shape[1:] for spec in signature.inputs)
        self._optional = [spec for spec in signature.inputs if spec.optional]
        self._allowed = {s.name: frozenset(s.categories) for s in signature.inputs if s.categories}

    def prepare(self, inputs: Mapping[str, Array]) -> Prepared:
        """Raises InvalidArgument when names, datatypes, shapes, row counts or missing values do not
        fit.
        """
        if len(inputs) != len(self._specs) or not self._names.issuperset(inputs):
            inputs = self._completed(inputs)
        return self.arranged([self._checked(spec, inputs[spec.name]) for spec in self._specs])

    def arranged(self, ordered: Sequence[Array]) -> Prepared:
        """The same of tensors that were checked one by one, in the signature's order."""
        if not self._batched:
            return Prepared(ordered, 1, object())
        rows = len(ordered[0])
        if len(ordered) > 1:
            self._check_rows(ordered, rows)
        if not rows:
            raise InvalidArgument(
                f"request for model '{self._model}' has no rows; send at least one"
            )
        return Prepared(
            ordered, rows, tuple(array.shape[1:] for array in ordered) if self._ragged else None
        )

    def _check_rows(self, ordered: Sequence[Array], rows: int) -> None:
        for spec, array in zip(self._specs, ordered, strict=True):
            if len(array) != rows:
                raise InvalidArgument(
                    f"inputs of model '{self._model}' differ in rows: '{self._specs[0].name}' has"
                    f" {rows} and '{spec.name}' has {len(array)}; send the same number for each"
                )

    def _completed(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """With matrices in one piece, and missing values for the optional inputs that were left
        out; raises for others.
        """
        inputs = gathered(inputs, self._specs)
        if not self._names.issuperset(inputs) or not inputs:
            raise self._wrong_names(inputs)
        rows = next(iter(inputs.values())).shape[:1]
        absent = {
            spec.name: missing_values(spec, (*rows, *spec.shape[1:]))
            for spec in self._optional
            if spec.name not in inputs
        }
        if len(inputs) + len(absent) != len(self._specs):
            raise self._wrong_names(inputs)
        return {**inputs, **absent}

    def _checked(self, spec: TensorSpec, array: Array) -> Array:
        if array.dtype != spec.dtype:
            array = self._of_datatype(spec, array)
        if not _fits(spec.shape, array.shape):
            raise InvalidArgument(
                f"unexpected shape for input '{spec.name}' for model '{self._model}'."
                f" Expected {_text(spec.shape)}, got {_text(array.shape)}"
            )
        if spec.datatype == "BYTES":
            return self._texts(spec, array)
        # half the time of `any`, which is Python for the most part
        if not spec.nullable and spec.datatype in FLOATS and np.count_nonzero(np.isnan(array)):
            raise self._missing(spec)
        return array

    def _of_datatype(self, spec: TensorSpec, array: Array) -> Array:
        found = converted(spec, array)
        if found is None:
            raise InvalidArgument(
                f"inference input '{spec.name}' data-type is"
                f" '{DATATYPES.get(array.dtype, array.dtype)}',"
                f" but model '{self._model}' expects '{spec.datatype}'"
            )
        return found

    def _texts(self, spec: TensorSpec, array: Array) -> Array:
        values = array.ravel().tolist()
        kinds = set(map(type, values))
        learned = spec.cleaning or spec.categories
        if bytes in kinds and (learned or not self._takes_bytes):
            raise self._not_text(spec, values)
        if type(None) in kinds:
            array = self._without_nulls(spec, array.shape, values)
        return self._known_texts(spec, array) if learned else array

    def _without_nulls(
        self, spec: TensorSpec, shape: tuple[int, ...], values: Sequence[object]
    ) -> Array:
        """Nulls become the value that the model takes as missing."""
        if not spec.nullable or spec.missing_value is None:
            raise self._missing(spec)
        filled = np.array(
            [spec.missing_value if value is None else value for value in values], np.object_
        )
        return filled.reshape(shape)

    def _not_text(self, spec: TensorSpec, values: Sequence[object]) -> InvalidArgument:
        place = next(place for place, value in enumerate(values) if isinstance(value, bytes))
        return InvalidArgument(
            f"BYTES element {place} of input '{spec.name}' is not UTF-8, and model"
            f" '{self._model}' takes texts; models that TensorFlow, Keras or a Python function"
            " runs take any bytes"
        )

    def _known_texts(self, spec: TensorSpec, array: Array) -> Array:
        """The texts cleaned, each of them one of the categories where there are any."""
        values = [
            value if value == spec.missing_value else cleaned(value, spec.cleaning)
            for value in array.ravel().tolist()
        ]
        allowed = self._allowed.get(spec.name)
        if allowed is not None:
            for row, value in enumerate(values):
                if value not in allowed and not (spec.nullable and value == spec.missing_value):
                    raise self._unseen(spec, row, value)
        found = np.empty(len(values), np.object_)
        found[:] = values
        return found.reshape(array.shape)

    def _unseen(self, spec: TensorSpec, row: int, value: str) -> InvalidArgument:
        return InvalidArgument(
            f"input '{spec.name}' of model '{self._model}' has the category {value[:64]!r} in row"
            f" {row}, which it has not learned; expected one of"
            f" {_names([name[:64] for name in spec.categories[:MOST_CATEGORIES_SHOWN]])}"
            + (" and others" if len(spec.categories) > MOST_CATEGORIES_SHOWN else "")
        )

    def _missing(self, spec: TensorSpec) -> InvalidArgument:
        return InvalidArgument(
            f"input '{spec.name}' of model '{self._model}' has a missing value (NaN or null),"
            " which its"
            " signature forbids; fill it in, or register the model with training rows that"
            " have missing values"
        )

    def _wrong_names(self, inputs: Mapping[str, Array]) -> InvalidArgument:
        for name in inputs:
            if name not in self._names:
                return InvalidArgument(
                    f"unexpected inference input '{name}' for model '{self._model}'"
                )
        missing = [spec.name for spec in self._specs if spec.name not in inputs]
        return InvalidArgument(
            f"expected {len(self._specs)} inputs but got {len(inputs)} inputs for model"
            f" '{self._model}'."
            f" Got input(s) {_names(inputs)}, but missing required input(s) {_names(missing)}."
            " Please provide all required input(s)."
        )


def _fits(expected: tuple[int, ...], got: tuple[int, ...]) -> bool:
    if len(expected) != len(got):
        return False
    if expected[1:] == got[1:]:  # only the first may vary, mostly
        return not expected or expected[0] in (-1, got[0])
    return all(extent in (-1, size) for extent, size in zip(expected, got, strict=True))


def _text(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _names(names: Mapping[str, Array] | Sequence[str]) -> str:
    return "[" + ",".join(f"'{name}'" for name in names) + "]"
