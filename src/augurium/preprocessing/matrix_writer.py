"""Writes expressions over raw columns as float32 matrices of an ONNX graph, with as few and as wide
operators as possible.

An operator of ONNX Runtime costs a microsecond or two whatever it does, so columns that go the same
way are one matrix. Numbers are computed in doubles and rounded once, at the end, as in the
reference.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from augurium.preprocessing import expressions as e
from augurium.preprocessing import fitted as f
from augurium.preprocessing.calendar import END_SECOND, FIRST_SECOND, Calendar
from augurium.preprocessing.fitted import MATRIX, MISSING_TEXT, FittedPreprocessing
from augurium.preprocessing.graph_writer import CONTRIB, ML, GraphWriter, array_of
from augurium.preprocessing.number_steps import aligned, kinds_of, write_fills, write_steps
from augurium.preprocessing.reference import SEPARATOR
from augurium.preprocessing.text_levels import TextLevels, unfilled


class Piece(NamedTuple):
    """A float32 matrix in the graph and the expressions that its columns are."""

    name: str
    columns: Sequence[Any]


class MatrixWriter:
    """Writes expressions into a graph; each raw column is an input of it, or they are a matrix."""

    def __init__(self, fitted: FittedPreprocessing, prefix: str) -> None:
        self._fitted = fitted
        self.writer = GraphWriter(prefix)
        self._places = {column.name: i for i, column in enumerate(fitted.inputs)}
        self._calendars: dict[str, Calendar] = {}

    def matrix(self, expressions: Sequence[Any]) -> Piece:
        """One matrix of all expressions, in any order; equal ones once."""
        pieces = list(self._pieces(list(dict.fromkeys(expressions))))
        columns = [column for piece in pieces for column in piece.columns]
        return Piece(self.writer.side_by_side([piece.name for piece in pieces]), columns)

    def ordered(self, expressions: Sequence[Any]) -> str:
        """One matrix of the expressions, in their order."""
        piece = self.matrix(expressions)
        places = {expression: place for place, expression in enumerate(piece.columns)}
        order = [places[expression] for expression in expressions]
        return self.writer.columns(piece.name, order, len(piece.columns))

    def _pieces(self, expressions: list[Any]) -> Iterable[Piece]:
        writers: list[tuple[Any, Callable[[list[Any]], Iterable[Piece]]]] = [
            ((e.RawNumber, e.Mapped), self._numbers),
            (e.Part, self._parts),
            (e.NumberCell, self._cells),
            (e.NumberTable, self._number_tables),
            (e.TextTable, self._text_tables),
            (e.Hashed, self._hashes),
        ]
        writers.sort(key=lambda entry: _first(expressions, entry[0]))
        for kind, write in writers:
            if found := [x for x in expressions if isinstance(x, kind)]:
                yield from write(found)

    def _numbers(self, expressions: list[Any]) -> Iterable[Piece]:
        groups: list[tuple[tuple[Any, ...], list[Any]]] = []
        steps = {x: x.steps if isinstance(x, e.Mapped) else () for x in expressions}
        # the longest first: shorter ones may go along
        for x in sorted(expressions, key=lambda x: -len(steps[x])):
            kinds = kinds_of(steps[x])
            for known, members in groups:
                if aligned(steps[x], known) is not None:
                    members.append(x)
                    break
            else:
                groups.append((kinds, [x]))
        for _, members in groups:
            members.sort(key=expressions.index)
        for kinds, members in sorted(groups, key=lambda group: expressions.index(group[1][0])):
            parents = [x.parent if isinstance(x, e.Mapped) else x for x in members]
            if not kinds:
                yield Piece(self._raw_numbers([x.name for x in members]), members)
                continue
            columns = [aligned(steps[x], kinds) or [] for x in members]
            yield Piece(self._mapped(parents, columns), members)

    def _mapped(self, parents: list[Any], columns: list[list[f.AnyStep]]) -> str:
        """The parents after their steps. Filling what is missing needs no doubles."""
        if isinstance(columns[0][0], f.Fill) and all(isinstance(x, e.RawNumber) for x in parents):
            fills = [steps[0] for steps in columns]
            raw = self._raw_numbers([parent.name for parent in parents])
            filled = write_fills(self.writer, raw, fills)
            rest = [steps[1:] for steps in columns]
            if not rest[0]:
                return filled
            return self.writer.floats(write_steps(self.writer, self.writer.wide(filled), rest))
        return self.writer.floats(write_steps(self.writer, self._wide(parents), columns))

    def _wide(self, parents: list[Any]) -> str:
        """The parents as a matrix of doubles."""
        if all(isinstance(parent, e.RawNumber) for parent in parents):
            return self.writer.wide(self._raw_numbers([parent.name for parent in parents]))
        if all(isinstance(parent, e.Part) for parent in parents):
            return self.writer.side_by_side([self._part(parent) for parent in parents])
        return self.writer.wide(self.ordered(parents))

    def _raw_numbers(self, names: list[str]) -> str:
        if self._fitted.is_matrix:
            places = [self._places[name] for name in names]
            return self.writer.columns(MATRIX, places, len(self._places))
        return self.writer.side_by_side(names)

    def _parts(self, expressions: list[Any]) -> Iterable[Piece]:
        parts = [self._part(expression) for expression in expressions]
        yield Piece(self.writer.floats(self.writer.side_by_side(parts)), expressions)

    def _part(self, expression: e.Part) -> str:
        name = expression.parent.name
        if name not in self._calendars:
            w = self.writer
            late = w.node("GreaterOrEqual", [name, w.doubles([FIRST_SECOND])])
            early = w.node("Less", [name, w.doubles([END_SECOND])])
            known = w.node("And", [late, early])
            seconds = w.node("Where", [known, name, w.doubles([np.nan])])
            self._calendars[name] = Calendar(seconds, _GraphArithmetic(w))
        found: str = self._calendars[name].part(expression.part)
        return found

    def _cells(self, expressions: list[Any]) -> Iterable[Piece]:
        missing = [x for x in expressions if x.level is None]
        equal = [x for x in expressions if x.level is not None]
        if missing:
            parents = self.ordered(_repeated(missing))
            yield Piece(self.writer.floats(self.writer.node("IsNaN", [parents])), missing)
        if equal:
            levels = self.writer.constant([x.level for x in equal], np.float32)
            parents = self.ordered(_repeated(equal))
            yield Piece(self.writer.floats(self.writer.node("Equal", [parents, levels])), equal)

    def _number_tables(self, expressions: list[Any]) -> Iterable[Piece]:
        for x in expressions:
            parent = self.ordered([x.parent])
            *values, unseen, missing = array_of(x.values).astype(np.float32).tolist()
            looked_up = self.writer.node(
                "LabelEncoder",
                [parent],
                ML,
                keys_floats=list(x.levels) or [0.0],
                values_floats=values or [unseen],
                default_float=unseen,
            )
            nowhere = self.writer.node("IsNaN", [parent])
            filled = self.writer.constant([missing], np.float32)
            yield Piece(self.writer.node("Where", [nowhere, filled, looked_up]), [x])

    def _text_tables(self, expressions: list[Any]) -> Iterable[Piece]:
        tables: dict[Any, list[Any]] = {}
        for x in expressions:
            tables.setdefault(unfilled(x.parent), []).append(x)
        encoded = [TextLevels(text, members) for text, members in tables.items()]
        single = [levels for levels in encoded if len(levels.members) == 1]
        for levels in single:
            yield Piece(self._encoded(levels, levels.table[:, 0].tolist()), levels.members)
        wide = [levels for levels in encoded if len(levels.members) > 1]
        if wide:
            members = [x for levels in wide for x in levels.members]
            yield Piece(self._looked_up(wide), members)

    def _looked_up(self, tables: "list[TextLevels]") -> str:
        """Rows of all tables side by side: one Gather where they are equally wide."""
        w = self.writer
        widths = {len(table.members) for table in tables}
        total = sum(len(table.members) for table in tables)
        if len(widths) == 1:
            starts = np.cumsum([0, *(len(table.table) for table in tables)])
            numbers = [
                self._encoded(table, [int(start) + row for row in range(len(table.table))])
                for table, start in zip(tables, starts, strict=False)
            ]
            rows = np.concatenate([table.table for table in tables])
            found = w.node("Gather", [w.constant(rows, np.float32), w.side_by_side(numbers)])
        else:
            parts = [
                w.node(
                    "Gather",
                    [
                        w.constant(table.table, np.float32),
                        self._encoded(table, list(range(len(table.table)))),
                    ],
                )
                for table in tables
            ]
            found = w.node("Concat", parts, axis=2)
        return w.node("Reshape", [found, w.constant([-1, total], np.int64)])

    def _encoded(self, levels: "TextLevels", values: list[Any]) -> str:
        """A number for each text: that of its level, the second last for other texts."""
        kind = "int64" if isinstance(values[0], int) else "float"
        *known, unseen, missing = values
        attributes = {
            "keys_strings": [*levels.levels, MISSING_TEXT],
            f"values_{kind}s": [*known, missing],
            f"default_{kind}": unseen,
        }
        return self.writer.node("LabelEncoder", [self._text(levels.text)], ML, **attributes)

    def _hashes(self, expressions: list[Any]) -> Iterable[Piece]:
        for x in expressions:
            w = self.writer
            hashed = w.node("MurmurHash3", [self._text(x.parent)], CONTRIB, seed=x.seed, positive=1)
            whole = w.node("Cast", [hashed], to=TensorProto.INT64)
            bucket = w.node("Mod", [whole, w.constant([x.buckets], np.int64)])
            yield Piece(w.floats(bucket), [x])

    def _text(self, expression: Any) -> str:
        w = self.writer
        match expression:
            case e.RawText(name=name):
                return name
            case e.FilledText(parent=parent, value=value):
                found = self._text(parent)
                filled = w.constant([value], np.object_)
                return w.node("Where", [w.equal_texts(found, MISSING_TEXT), filled, found])
            case e.JoinedText(parents=parents):
                separator = w.constant([SEPARATOR], np.object_)
                found, *others = [self._text(parent) for parent in parents]
                for other in others:
                    found = w.node(
                        "StringConcat", [w.node("StringConcat", [found, separator]), other]
                    )
                return found
        return self._number_text(expression)

    def _number_text(self, expression: e.Number) -> str:
        w = self.writer
        numbers = self.ordered([expression])
        missing = w.node("IsNaN", [numbers])
        known = w.node("Where", [missing, w.constant([0.0], np.float32), numbers])
        text = w.node(
            "Cast", [w.node("Cast", [known], to=TensorProto.INT64)], to=TensorProto.STRING
        )
        return w.node("Where", [missing, w.constant([MISSING_TEXT], np.object_), text])


class _GraphArithmetic:
    def __init__(self, writer: GraphWriter) -> None:
        self._writer = writer

    def add(self, value: str, other: str | float) -> str:
        if not isinstance(other, str):
            other = self._writer.doubles([other])
        return self._writer.node("Add", [value, other])

    def times(self, value: str, factor: float) -> str:
        if factor == -1:
            return self._writer.node("Neg", [value])
        return self._writer.node("Mul", [value, self._writer.doubles([factor])])

    def quotient(self, value: str, divisor: float) -> str:
        if divisor != 1:
            value = self._writer.node("Div", [value, self._writer.doubles([divisor])])
        return self._writer.node("Floor", [value])


def _repeated(cells: list[e.NumberCell]) -> list[Any]:
    """The parents of cells; one alone is compared with all levels at once."""
    parents = [x.parent for x in cells]
    return parents[:1] if len(set(parents)) == 1 else parents


def _first(expressions: list[Any], kinds: Any) -> int:
    return next((i for i, x in enumerate(expressions) if isinstance(x, kinds)), len(expressions))
