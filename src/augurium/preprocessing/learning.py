"""From what a pass has summed up to the steps of a transform."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import fitted as f
from augurium.preprocessing import transforms as t
from augurium.preprocessing.power import fitted_exponent
from augurium.preprocessing.quantile_sketch import quantiles
from augurium.preprocessing.reference import SEPARATOR, mapped
from augurium.preprocessing.summaries import Levels, Moments, Quantiles, no_values, ordered

MAX_LEVELS = 10_000
MAX_COLUMNS = 4096
MAX_LEVEL_LENGTH = 1024
OTHER = "other"
MISSING = "missing"
INDICATOR = "missing"


class Limits(msgspec.Struct, frozen=True):
    """`max_levels`: how many levels a column may have where all are needed."""

    max_levels: int = MAX_LEVELS


def needed(transform: t.AnyTransform, limits: Limits) -> Callable[[], Any] | None:
    """What makes the summary a transform needs of each column; None if it needs none."""
    match transform:
        case (
            t.Impute(strategy="mean")
            | t.Standardize()
            | t.MinMax()
            | t.Bucketize(strategy="uniform")
        ):
            return Moments
        case (
            t.Impute(strategy="median") | t.Robust() | t.Power() | t.Bucketize(strategy="quantile")
        ):
            return Quantiles
        case t.OneHot(max_categories=most) if most:
            return lambda: Levels(max(limits.max_levels, 20 * most))
        case t.Ordinal(max_categories=most, categories=()) if most:
            return lambda: Levels(max(limits.max_levels, 20 * most))
        case t.Ordinal(categories=()) | t.OneHot() | t.Frequency() | t.TargetMean():
            return lambda: Levels(limits.max_levels)
        case t.Impute(strategy="most_frequent"):
            return lambda: Levels(limits.max_levels)
    return None


def learned(transform: t.AnyTransform, column: str, summary: Any) -> list[f.AnyStep]:
    """The steps of a transform on one column.

    Raises InvalidArgument when nothing can be learned.
    """
    match transform:
        case t.Impute():
            fill = f.Fill(column, _fill(column, summary))
            if transform.indicator:
                return [f.Indicate(column, f"{column}_{INDICATOR}"), fill]
            return [fill]
        case t.Standardize():
            return [f.Scale(column, float(summary.mean), summary.deviation)]
        case t.MinMax(low=low, high=high):
            _need(summary.count, column)
            span = (summary.high - summary.low) or 1.0
            divide = span / (high - low)
            return [f.Scale(column, summary.low - low * divide, divide)]
        case t.Robust(low=low, high=high):
            _need(len(summary.items()[0]), column)
            below, middle, above = summary.at([low, 0.5, high]).tolist()
            return [f.Scale(column, middle, (above - below) or 1.0)]
        case t.Power():
            return _power(transform, column, summary)
        case t.Bucketize():
            return [f.Buckets(column, _edges(transform, column, summary))]
        case t.OneHot():
            return [one_hot(transform, column, _levels(transform, column, summary))]
        case t.Ordinal(categories=categories):
            return [ordinal(transform, column, categories or _levels(transform, column, summary))]
        case t.Frequency():
            return [_frequency(column, summary)]
        case t.TargetMean():
            return [_target_mean(transform, column, summary)]
    raise TypeError(f"a {t.kind_of(transform)} learns nothing")


def one_hot(transform: t.OneHot, column: str, levels: tuple[f.Level, ...]) -> f.OneHotLevels:
    """One output per level, then one for others and one for missing values where wanted."""
    names = [f"{column}_{level_name(level)}" for level in levels]
    targets: list[int | None] = list(range(len(levels)))
    unseen = missing = None
    if transform.unseen == "default" and transform.default is not None:
        default = transform.default
        if isinstance(default, float | int) and levels and not isinstance(levels[0], str):
            default = float(np.float32(default))
        if default not in levels:
            raise InvalidArgument(
                f"unseen categories of '{column}' shall count as {default!r}, which is not one of"
                f" its categories {list(levels[:8])}"
            )
        unseen = levels.index(default)
    elif transform.unseen == "default":
        unseen = len(names)
        names.append(f"{column}_{OTHER}")
    if transform.missing == "category":
        missing = len(names)
        names.append(f"{column}_{MISSING}")
    if len(names) > MAX_COLUMNS:
        raise InvalidArgument(
            f"'{column}' would become {len(names)} columns, more than {MAX_COLUMNS}; set"
            " max_categories, or use hash or target_mean"
        )
    return f.OneHotLevels(column, levels, tuple(targets), tuple(names), unseen, missing)


def ordinal(transform: t.Ordinal, column: str, levels: tuple[f.Level, ...]) -> f.Lookup:
    """The place of each level."""
    places = tuple(map(float, range(len(levels))))
    unseen = transform.default if transform.unseen == "default" else None
    return f.Lookup(column, levels, places, unseen, None)


def level_name(level: f.Level) -> str:
    """A level as part of a column's name: whole numbers without a fraction."""
    return f"{level:.9g}" if isinstance(level, float) else level.replace(SEPARATOR, "&")


def _fill(column: str, summary: Any) -> float | str:
    if isinstance(summary, Moments):
        _need(summary.count, column)
        return float(summary.mean)
    if isinstance(summary, Quantiles):
        _need(len(summary.items()[0]), column)
        return float(summary.at([0.5])[0])
    _need(len(summary.counts), column)
    most = max(summary.counts.values())
    levels: list[f.Level] = [x for x, count in summary.counts.items() if count == most]
    return min(levels)


def _power(transform: t.Power, column: str, summary: Quantiles) -> list[f.AnyStep]:
    values, weights = summary.items()
    _need(len(values), column)
    if transform.method == "box_cox" and values[0] <= 0:
        raise InvalidArgument(
            f"box_cox takes numbers above 0, but column '{column}' has {values[0]:.6g}; use"
            " yeo_johnson"
        )
    if values[0] == values[-1]:
        raise InvalidArgument(
            f"column '{column}' does not vary, so no exponent makes it more normal; drop it"
        )
    exponent = fitted_exponent(transform.method, values, weights)
    step = (f.YeoJohnson if transform.method == "yeo_johnson" else f.BoxCox)(column, exponent)
    if not transform.standardize:
        return [step]
    changed = mapped(step, values)
    mean = float(np.average(changed, weights=weights))
    deviation = float(np.sqrt(np.average((changed - mean) ** 2, weights=weights)))
    return [step, f.Scale(column, mean, deviation or 1.0)]


def _edges(transform: t.Bucketize, column: str, summary: Any) -> tuple[float, ...]:
    if transform.strategy == "edges":
        return transform.edges
    shares = np.linspace(0, 1, transform.buckets + 1)[1:-1]
    if isinstance(summary, Moments):
        _need(summary.count, column)
        found = summary.low + shares * (summary.high - summary.low)
    else:
        values, weights = summary.items()
        _need(len(values), column)
        found = quantiles(values, weights, shares)
    return tuple(np.unique(found).tolist())


def _levels(transform: t.OneHot | t.Ordinal, column: str, summary: Levels) -> tuple[f.Level, ...]:
    most = transform.max_categories
    if summary.overflowed and not most:
        raise _too_many(column, summary)
    _need(len(summary.counts), column)
    if not most or len(summary.counts) <= most:
        return _checked(column, ordered(summary.counts))
    by_count = sorted(summary.counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return _checked(column, ordered(level for level, _ in by_count[:most]))


def _frequency(column: str, summary: Levels) -> f.Lookup:
    if summary.overflowed:
        raise _too_many(column, summary)
    levels = _checked(column, ordered(summary.counts))
    shares = tuple(summary.counts[level] / summary.rows for level in levels)
    return f.Lookup(column, levels, shares, 0.0, summary.missing / summary.rows)


def _target_mean(transform: t.TargetMean, column: str, summary: Levels) -> f.Lookup:
    if summary.overflowed:
        raise _too_many(column, summary)
    levels = _checked(column, ordered(summary.counts))
    total = sum(summary.sums.values()) + summary.missing_sum
    overall = total / summary.rows
    values = tuple(
        (summary.sums[level] + transform.smoothing * overall)
        / (summary.counts[level] + transform.smoothing)
        for level in levels
    )
    return f.Lookup(column, levels, values, overall, overall)


def _checked(column: str, levels: tuple[f.Level, ...]) -> tuple[f.Level, ...]:
    """The levels, all of which can be written down."""
    for level in levels:
        if not isinstance(level, str):
            break
        if len(level) > MAX_LEVEL_LENGTH:
            raise InvalidArgument(
                f"column '{column}' has a category of {len(level)} characters, and at most"
                f" {MAX_LEVEL_LENGTH} are kept; shorten it, or use hash"
            )
        if any("\ud800" <= character <= "\udfff" for character in level):
            raise InvalidArgument(
                f"column '{column}' has the category {level[:64]!r}, which is no Unicode text;"
                " correct the table"
            )
    return levels


def _too_many(column: str, summary: Levels) -> InvalidArgument:
    return InvalidArgument(
        f"column '{column}' has more than {summary.room} levels, too many to keep all of them;"
        " set max_categories, raise max_levels, or use hash"
    )


def _need(count: int, column: str) -> None:
    if not count:
        raise no_values(column)
