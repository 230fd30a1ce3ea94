"""A fitted preprocessing: raw columns, steps with all their numbers, the columns that come out.

Plain JSON: no code, comparable line by line. Each step works on one column; `None` stands for a
missing number.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.preprocessing.declaration import ColumnType

FORMAT = 1
MISSING_TEXT = "__NA__"
MATRIX = "features"
Level = str | float


class Step(msgspec.Struct, frozen=True, tag_field="step"):
    """What all steps have: the column they read."""

    column: str


class Fill(Step, frozen=True, tag="fill"):
    """`value` where the column is missing; a number as float32, which is what callers send."""

    value: float | str


class Indicate(Step, frozen=True, tag="indicate"):
    """A new column, 1 where the column is missing and 0 elsewhere."""

    output: str


class Scale(Step, frozen=True, tag="scale"):
    """(x - subtract) / divide, in double precision."""

    subtract: float
    divide: float


class Limit(Step, frozen=True, tag="limit"):
    """At least `low`, at most `high`; missing values stay."""

    low: float | None = None
    high: float | None = None


class Logarithm(Step, frozen=True, tag="logarithm"):
    """ln(x), or ln(1 + x) with `plus_one`."""

    plus_one: bool


class YeoJohnson(Step, frozen=True, tag="yeo_johnson"):
    """Yeo and Johnson 2000: a Box-Cox transform of 1 + |x| for either sign."""

    exponent: float


class BoxCox(Step, frozen=True, tag="box_cox"):
    """(x**exponent - 1) / exponent, ln(x) for exponent 0; missing for negative numbers."""

    exponent: float


class Buckets(Step, frozen=True, tag="buckets"):
    """How many `edges` are at or below the value, all as float32: a training value that became an
    edge is on the same side when it comes from a caller.
    """

    edges: tuple[float, ...]


class Lookup(Step, frozen=True, tag="lookup"):
    """The value of the level that the column equals; numbers are compared as float32."""

    levels: tuple[Level, ...]
    values: tuple[float | None, ...]
    unseen: float | None = None
    missing: float | None = None


class OneHotLevels(Step, frozen=True, tag="one_hot"):
    """Replaces the column by `outputs`. Level i sets output `targets[i]`; unseen and missing
    values set output `unseen` and `missing`, none if those are None.
    """

    levels: tuple[Level, ...]
    targets: tuple[int | None, ...]
    outputs: tuple[str, ...]
    unseen: int | None = None
    missing: int | None = None


class HashBucket(Step, frozen=True, tag="hash"):
    """MurmurHash3 x86_32 of the UTF-8 text modulo `buckets`; one output per bucket if named."""

    buckets: int
    seed: int = 0
    outputs: tuple[str, ...] = ()


class DatePart(Step, frozen=True, tag="date_part"):
    """A new column with one part of a point in time."""

    part: str
    output: str


class Joined(msgspec.Struct, frozen=True, tag_field="step", tag="join"):
    """A new text column: the texts, or whole numbers, of `columns` with U+001F between them."""

    columns: tuple[str, ...]
    output: str


class Copied(Step, frozen=True, tag="copy"):
    """The same column again at the end, under another name."""

    output: str


class Dropped(Step, frozen=True, tag="drop"):
    """Leaves the column out."""


class Kept(msgspec.Struct, frozen=True, tag_field="step", tag="keep"):
    """These columns only, in this order."""

    columns: tuple[str, ...]


AnyStep = (
    Fill
    | Indicate
    | Scale
    | Limit
    | Logarithm
    | YeoJohnson
    | BoxCox
    | Buckets
    | Lookup
    | OneHotLevels
    | HashBucket
    | DatePart
    | Joined
    | Copied
    | Dropped
    | Kept
)


class RawColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column as it comes. `default` stands for missing values; `optional` lets it be left out.

    `wrong_type` is `error`, or `missing` to take values of another type for missing ones.
    `cleaning` is done to texts first; `categories` are the only ones taken, if there are any.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    optional: bool = False
    wrong_type: str = "error"
    default: float | str | None = None
    cleaning: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class FittedPreprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """What a declaration became on its training rows. `outputs` names the columns of the matrix."""

    format: int = FORMAT
    inputs: tuple[RawColumn, ...]
    steps: tuple[AnyStep, ...]
    outputs: tuple[str, ...]
    source: str = ""
    rows: int = 0
    schema_hash: str = ""
    notes: tuple[str, ...] = ()

    def sealed(self) -> Self:
        """The same with the hash of its schema."""
        return msgspec.structs.replace(self, schema_hash=self.schema())

    def schema(self) -> str:
        """SHA-256 of names and types of the raw columns and names of the outputs, in order."""
        content = [[[c.name, c.type] for c in self.inputs], self.outputs]
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()

    @property
    def is_matrix(self) -> bool:
        """Whether the raw columns can come as one matrix: numbers all treated alike."""
        return all(c.type == "number" for c in self.inputs) and (
            len({(c.nullable, c.optional, c.wrong_type) for c in self.inputs}) == 1
        )

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The raw columns as a served model takes them."""
        if self.is_matrix:
            first = self.inputs[0]
            return (
                TensorSpec(
                    MATRIX,
                    "FP32",
                    (-1, len(self.inputs)),
                    features=tuple(c.name for c in self.inputs),
                    nullable=first.nullable,
                    optional=first.optional,
                    lenient=first.wrong_type != "error",
                ),
            )
        return tuple(map(_spec, self.inputs))

    def signature(self, outputs: tuple[TensorSpec, ...]) -> Signature:
        """The signature of a model that takes the raw columns."""
        return Signature(self.input_specs, outputs)

    def transform(self, columns: Mapping[str, Any]) -> tuple[Array, tuple[str, ...]]:
        """The matrix (float32, rows by outputs) and its column names: the definition of right.

        `columns` are values by name; a table of pyarrow or pandas is taken too. Raises
        InvalidArgument for missing columns and values that the raw columns refuse.
        """
        from augurium.preprocessing.reference import transform

        return transform(self, columns), self.outputs

    def to_json(self) -> bytes:
        """Readable JSON, the same for the same content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_fitted(file: Path) -> FittedPreprocessing:
    """Reads a fitted preprocessing from its JSON. Raises InvalidArgument."""
    return fitted_from_json(file.read_bytes(), file.name)


def fitted_from_json(content: bytes, name: str = "the preprocessing") -> FittedPreprocessing:
    """Raises InvalidArgument for JSON of another kind, another format, or changed by hand."""
    try:
        found = msgspec.json.decode(content, type=FittedPreprocessing)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(
            f"'{name}' is not a fitted preprocessing: {error}; expected the output of"
            " 'augurium preprocess fit'"
        ) from error
    if found.format != FORMAT:
        raise InvalidArgument(
            f"'{name}' has format {found.format} of fitted preprocessings; this release reads"
            f" format {FORMAT}: fit it again"
        )
    if found.schema_hash != found.schema():
        raise InvalidArgument(
            f"'{name}' does not fit its schema hash: columns were changed after the fit; fit it"
            " again"
        )
    from augurium.preprocessing.program import check

    check(found)
    return found


def number(value: float | None) -> float:
    """The number, NaN for None."""
    return float("nan") if value is None else float(value)


def stored(value: float) -> float | None:
    """The number for JSON, None for NaN."""
    return None if np.isnan(value) else float(value)


def _spec(column: RawColumn) -> TensorSpec:
    return TensorSpec(
        column.name,
        {"number": "FP32", "text": "BYTES", "datetime": "FP64"}[column.type],
        (-1, 1),
        nullable=column.nullable,
        missing_value=MISSING_TEXT if column.type == "text" and column.nullable else None,
        optional=column.optional,
        lenient=column.wrong_type != "error",
        moment=column.type == "datetime",
        cleaning=column.cleaning,
        categories=column.categories,
    )
