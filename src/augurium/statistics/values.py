"""Values of one feature, as they are counted."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array


class Values(msgspec.Struct, frozen=True):
    """A column of values: numbers, or objects that are `str` or None.

    `missing` is a mask of numbers that were not there (they are NaN in `content`); None when all
    were. In a column of objects None is missing.
    """

    content: Any
    missing: Any = None

    def __len__(self) -> int:
        return len(self.content)


class Numbers(msgspec.Struct, frozen=True):
    """A column as float64, NaN where there is no number, and how many of these stand for a missing
    value or one of a wrong type.
    """

    content: Any
    missing: int = 0
    type_errors: int = 0


def as_numbers(values: Values) -> Numbers:
    """The values as numbers; texts and whatever else is no number are of a wrong type."""
    if values.content.dtype != np.object_:
        missing = 0 if values.missing is None else int(np.count_nonzero(values.missing))
        return Numbers(values.content.astype(np.float64, copy=False), missing)
    found: Array = np.full(len(values), np.nan)
    missing = type_errors = 0
    for row, value in enumerate(values.content.tolist()):
        if value is None:
            missing += 1
        elif isinstance(value, int | float):
            found[row] = value
        else:
            type_errors += 1
    return Numbers(found, missing, type_errors)


def joined(parts: Sequence[Values]) -> Values:
    """Columns behind each other, at least one."""
    content: Array = np.concatenate([part.content for part in parts])
    if content.dtype == np.object_ or all(part.missing is None for part in parts):
        return Values(content)
    masks = [np.zeros(len(part), bool) if part.missing is None else part.missing for part in parts]
    return Values(content, np.concatenate(masks))
