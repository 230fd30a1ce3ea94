"""Where every output of a preprocessing comes from, as an expression over the raw columns.

Steps on the levels of a text are done here already, to the tables of numbers: looking up a level
costs the same whatever follows it.
"""

from typing import Any

import msgspec
import numpy as np

from augurium.core.tensors import Array
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program, reference

ANY = ""


class RawNumber(msgspec.Struct, frozen=True):
    """A raw column of numbers."""

    name: str


class RawMoment(msgspec.Struct, frozen=True):
    """A raw column of points in time."""

    name: str


class RawText(msgspec.Struct, frozen=True):
    """A raw column of texts."""

    name: str


class Part(msgspec.Struct, frozen=True):
    """A part of a point in time."""

    parent: RawMoment
    part: str


class Mapped(msgspec.Struct, frozen=True):
    """Numbers after steps that change each in place."""

    parent: "Number"
    steps: tuple[f.AnyStep, ...]


class NumberCell(msgspec.Struct, frozen=True):
    """1 where the parent equals `level` as float32, or is missing if that is None; else 0."""

    parent: "Number"
    level: float | None


class NumberTable(msgspec.Struct, frozen=True):
    """A number for each level of a column of numbers; `values` end with unseen and missing."""

    parent: "Number"
    levels: tuple[float, ...]
    values: tuple[float | None, ...]


class TextTable(msgspec.Struct, frozen=True):
    """A number for each level of a column of texts; `values` end with unseen and missing."""

    parent: "Text"
    levels: tuple[str, ...]
    values: tuple[float | None, ...]


class Hashed(msgspec.Struct, frozen=True):
    """The bucket of a text."""

    parent: "Text"
    buckets: int
    seed: int


class FilledText(msgspec.Struct, frozen=True):
    """A text with `value` where it is missing."""

    parent: "Text"
    value: str


class JoinedText(msgspec.Struct, frozen=True):
    """Texts and whole numbers, with a separator between them."""

    parents: tuple[Any, ...]


Number = RawNumber | Part | Mapped | NumberCell | NumberTable | TextTable | Hashed
Text = RawText | FilledText | JoinedText
Expression = Number | Text | RawMoment


def output_expressions(fitted: f.FittedPreprocessing) -> tuple[Number, ...]:
    """The expression of every output, in order."""
    found: dict[str, Any] = {column.name: _raw(column) for column in fitted.inputs}
    for step in fitted.steps:
        found = _after(step, found)
    return tuple(found.values())


def _raw(column: f.RawColumn) -> Expression:
    if column.type == "datetime":
        return RawMoment(column.name)
    if column.type == "text":
        raw = RawText(column.name)
        return raw if column.default is None else FilledText(raw, str(column.default))
    number = RawNumber(column.name)
    if column.default is None:
        return number
    return Mapped(number, (f.Fill(ANY, float(column.default)),))


def _after(step: f.AnyStep, found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(step, f.Kept):
        return {name: found[name] for name in step.columns}
    if isinstance(step, f.Joined):
        return {**found, step.output: JoinedText(tuple(found[name] for name in step.columns))}
    if isinstance(step, f.Copied):
        return {**found, step.output: found[step.column]}
    if isinstance(step, program.IN_PLACE):
        return {**found, **_made(step, found[step.column])}
    result: dict[str, Any] = {}
    for name, expression in found.items():
        result.update(_made(step, expression) if name == step.column else {name: expression})
    return result


def _made(step: f.AnyStep, parent: Any) -> dict[str, Any]:
    match step:
        case f.Dropped():
            return {}
        case f.OneHotLevels():
            return {name: _level_cell(step, parent, i) for i, name in enumerate(step.outputs)}
        case f.HashBucket(outputs=()):
            return {step.column: Hashed(parent, step.buckets, step.seed)}
        case f.HashBucket(outputs=outputs):
            index = Hashed(parent, step.buckets, step.seed)
            return {name: NumberCell(index, float(i)) for i, name in enumerate(outputs)}
        case f.Indicate(column=column, output=output):
            return {column: parent, output: _indicator(parent)}
        case f.DatePart(column=column, output=output, part=part):
            return {column: parent, output: Part(parent, part)}
        case f.Lookup(column=column):
            return {column: _looked_up(step, parent)}
        case f.Fill(column=column, value=str(value)):
            return {column: FilledText(parent, value)}
    name = program.reads(step)[0]
    return {name: _mapped(parent, msgspec.structs.replace(step, column=ANY))}


def _mapped(parent: Any, step: f.AnyStep) -> Number:
    if isinstance(parent, TextTable | NumberTable):
        return _with_values(parent, reference.mapped(step, _values(parent)))
    if isinstance(parent, Mapped):
        return Mapped(parent.parent, (*parent.steps, step))
    return Mapped(parent, (step,))


def _looked_up(step: f.Lookup, parent: Any) -> Number:
    if isinstance(parent, TextTable | NumberTable):
        return _with_values(parent, reference.mapped(step, _values(parent)))
    # levels that give what unseen ones give need no entry; one-hot tables have one level each
    kept = [i for i, value in enumerate(step.values) if value != step.unseen]
    values = (*(step.values[i] for i in kept), step.unseen, step.missing)
    if isinstance(parent, RawText | FilledText | JoinedText):
        # a level may be spelled as missing ones are
        levels = tuple(str(step.levels[i]) for i in kept)
        if f.MISSING_TEXT in step.levels and f.MISSING_TEXT not in levels:
            values = (*values[:-1], step.unseen)
        return TextTable(parent, levels, values)
    return NumberTable(parent, tuple(float(step.levels[i]) for i in kept), values)


def _level_cell(step: f.OneHotLevels, parent: Any, output: int) -> Number:
    targets = (*step.targets, step.unseen, step.missing)
    values = tuple(float(target == output) for target in targets)
    lookup = f.Lookup(ANY, step.levels, values[:-2], values[-2], values[-1])
    is_number = not isinstance(parent, RawText | FilledText | JoinedText | TextTable | NumberTable)
    levels = [level for level, value in zip(step.levels, values[:-2], strict=True) if value]
    if is_number and values[-2] == 0 and len(levels) + (values[-1] != 0) == 1:
        return NumberCell(parent, float(levels[0]) if levels else None)
    return _looked_up(lookup, parent)


def _indicator(parent: Any) -> Number:
    if isinstance(parent, TextTable | NumberTable):
        return _with_values(parent, np.isnan(_values(parent)).astype(np.float64))
    if isinstance(parent, RawText | FilledText | JoinedText):
        return TextTable(parent, (), (0.0, 1.0))
    return NumberCell(parent, None)


def _values(table: TextTable | NumberTable) -> Array:
    return np.array([f.number(value) for value in table.values], np.float64)


def _with_values(table: TextTable | NumberTable, values: Array) -> TextTable | NumberTable:
    return msgspec.structs.replace(table, values=tuple(map(f.stored, values.tolist())))
