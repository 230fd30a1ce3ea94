"""The transforms one can declare. Their fields are what a specification in JSON or TOML holds.

Every transform reads columns by name and replaces them or adds others; docs/reference/transforms.md
describes them for users.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

Names = str | Sequence[str]
Unseen = Literal["ignore", "error", "default"]


class Transform(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """What all transforms have: the columns they read."""

    columns: Names


class Impute(Transform, frozen=True, tag="impute"):
    """Puts a value where one is missing. `indicator` adds a column `NAME_missing` of 0 and 1."""

    strategy: Literal["mean", "median", "most_frequent", "constant"] = "median"
    value: float | str | None = None
    indicator: bool = False


class Standardize(Transform, frozen=True, tag="standardize"):
    """Subtracts the mean and divides by the (population) standard deviation."""


class MinMax(Transform, frozen=True, tag="min_max"):
    """Maps the smallest value to `low` and the largest to `high`."""

    low: float = 0.0
    high: float = 1.0


class Robust(Transform, frozen=True, tag="robust"):
    """Subtracts the median and divides by the distance of two quantiles."""

    low: float = 0.25
    high: float = 0.75


class Log(Transform, frozen=True, tag="log"):
    """The natural logarithm; of 1 + x with `plus_one`."""

    plus_one: bool = True


class Power(Transform, frozen=True, tag="power"):
    """A power transform whose exponent makes the column most normal, then standardized."""

    method: Literal["yeo_johnson", "box_cox"] = "yeo_johnson"
    standardize: bool = True


class Clip(Transform, frozen=True, tag="clip"):
    """Limits values to `low` and `high`."""

    low: float | None = None
    high: float | None = None


class Bucketize(Transform, frozen=True, tag="bucketize"):
    """The number of the bucket a value falls into, from 0. A value on an edge is above it."""

    strategy: Literal["edges", "quantile", "uniform"] = "quantile"
    buckets: int = 10
    edges: tuple[float, ...] = ()


class OneHot(Transform, frozen=True, tag="one_hot"):
    """A column of 0 and 1 per category: `NAME_CATEGORY`.

    `max_categories` keeps the most frequent ones (0: all, an error above the cap of the fit).
    `unseen` and rare categories: `ignore` makes all columns 0, `default` counts them as `default`
    or, without one, in a column `NAME_other`; `error` refuses them. `missing`: `ignore` makes all
    columns 0, `category` adds a column `NAME_missing`.
    """

    unseen: Unseen = "ignore"
    default: str | float | None = None
    max_categories: int = 0
    missing: Literal["ignore", "category"] = "ignore"


class Ordinal(Transform, frozen=True, tag="ordinal"):
    """The number of the category in their order, from 0.

    Unseen categories become `default`, or missing without one; missing ones stay missing.
    """

    unseen: Unseen = "default"
    default: float | None = -1.0
    categories: tuple[str | float, ...] = ()
    max_categories: int = 0


class Hash(Transform, frozen=True, tag="hash"):
    """MurmurHash3 (x86, 32 bits) of the UTF-8 text, modulo `buckets`; or a 0/1 column for each."""

    buckets: int = 64
    seed: int = 0
    one_hot: bool = False


class Frequency(Transform, frozen=True, tag="frequency"):
    """The share of the training rows that have this category; 0 for unseen ones."""

    unseen: Unseen = "default"


class TargetMean(Transform, frozen=True, tag="target_mean"):
    """The mean of the target in this category, drawn towards the overall mean by as much as
    `smoothing` rows; the overall mean for unseen and missing ones.
    """

    smoothing: float = 20.0
    unseen: Unseen = "default"


class Text(Transform, frozen=True, tag="text"):
    """Removes blanks around a text and makes it lower case, before anything else sees it."""

    trim: bool = True
    lower: bool = True


DatePartName = Literal[
    "year", "month", "day", "hour", "weekday", "day_of_year", "is_weekend", "epoch_day"
]


class DateParts(Transform, frozen=True, tag="date_parts"):
    """Parts of a point in time in UTC, as columns `NAME_PART`; Monday is weekday 0."""

    parts: tuple[DatePartName, ...] = ("year", "month", "day", "weekday")


class Cross(Transform, frozen=True, tag="cross"):
    """The combination of several texts or bucket numbers, as a new text column `output`."""

    output: str = ""


class Copy(msgspec.Struct, frozen=True, tag_field="type", tag="copy", forbid_unknown_fields=True):
    """The same column again under another name, for another transform."""

    column: str
    output: str


class Drop(Transform, frozen=True, tag="drop"):
    """Leaves columns out."""


class Select(Transform, frozen=True, tag="select"):
    """Keeps these columns only, in this order."""


AnyTransform = (
    Impute
    | Standardize
    | MinMax
    | Robust
    | Log
    | Power
    | Clip
    | Bucketize
    | OneHot
    | Ordinal
    | Hash
    | Frequency
    | TargetMean
    | Text
    | DateParts
    | Cross
    | Copy
    | Drop
    | Select
)


def columns_of(transform: AnyTransform) -> tuple[str, ...]:
    """The columns a transform reads, in its order."""
    if isinstance(transform, Copy):
        return (transform.column,)
    names = transform.columns
    return (names,) if isinstance(names, str) else tuple(names)


def kind_of(transform: AnyTransform) -> str:
    """The `type` of a transform in a specification."""
    return str(transform.__struct_config__.tag)
