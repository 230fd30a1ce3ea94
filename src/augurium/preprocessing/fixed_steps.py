"""The steps of transforms that learn nothing from the rows."""

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program
from augurium.preprocessing import transforms as t
from augurium.preprocessing.learning import INDICATOR, one_hot, ordinal

Buckets = dict[str, int]


def fixed_steps(
    transform: t.AnyTransform, types: program.Types, buckets: Buckets
) -> list[f.AnyStep]:
    """The steps of a transform on columns of these types; `buckets` are how many bucket numbers a
    column has. Raises InvalidArgument.
    """
    match transform:
        case t.Copy(column=column, output=output):
            return [f.Copied(column, output)]
        case t.Select():
            return [f.Kept(t.columns_of(transform))]
        case t.Drop():
            return [f.Dropped(column) for column in t.columns_of(transform)]
        case t.DateParts():
            return _date_parts(transform)
        case t.Cross(output=output):
            _check_crossed(transform, types, buckets)
            return [f.Joined(t.columns_of(transform), output)]
    return [
        step
        for column in t.columns_of(transform)
        for step in _steps_of_column(transform, column, types, buckets)
    ]


def _steps_of_column(
    transform: t.AnyTransform, column: str, types: program.Types, buckets: Buckets
) -> list[f.AnyStep]:
    match transform:
        case t.Impute(value=value, indicator=indicator) if value is not None:
            indicated: list[f.AnyStep] = (
                [f.Indicate(column, f"{column}_{INDICATOR}")] if indicator else []
            )
            if types[column] == "number" and not isinstance(value, str):
                value = float(value)
            return [*indicated, f.Fill(column, value)]
        case t.Clip(low=low, high=high):
            return [f.Limit(column, low, high)]
        case t.Log(plus_one=plus_one):
            return [f.Logarithm(column, plus_one)]
        case t.Bucketize(edges=edges):
            return [f.Buckets(column, edges)]
        case t.Hash(buckets=count, seed=seed, one_hot=is_one_hot):
            names = [f"{column}_{i}" for i in range(count)] if is_one_hot else []
            return [f.HashBucket(column, count, seed, tuple(names))]
        case t.OneHot():
            return [one_hot(transform, column, tuple(map(float, range(buckets[column]))))]
        case t.Ordinal(categories=categories):
            levels = categories or tuple(map(float, range(buckets[column])))
            return [ordinal(transform, column, levels)]
        case t.Text():
            # done at the door, see RawColumn.cleaning
            return []
    raise TypeError(f"a {t.kind_of(transform)} has to learn its steps")


def _date_parts(transform: t.DateParts) -> list[f.AnyStep]:
    """Each part goes right behind the point in time, the last one first; then that is dropped."""
    steps: list[f.AnyStep] = []
    for column in t.columns_of(transform):
        parts = reversed(transform.parts)
        steps += [f.DatePart(column, part, f"{column}_{part}") for part in parts]
        steps.append(f.Dropped(column))
    return steps


def _check_crossed(transform: t.Cross, types: program.Types, buckets: Buckets) -> None:
    for column in t.columns_of(transform):
        if types[column] != "text" and column not in buckets:
            raise InvalidArgument(
                f"cross takes texts and bucket numbers, but column '{column}' holds"
                f" {types[column]} values; bucketize it first"
            )
