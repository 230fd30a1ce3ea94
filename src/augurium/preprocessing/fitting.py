"""Fitting: what a declaration learns from a stream of training rows.

One pass is enough unless a transform learns from what another one has learned: then the stream is
read again. An impute and the transform behind it count as one, because summaries tell what they
would be with missing values filled. Memory does not grow with the number of rows.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.moments import epoch_seconds
from augurium.core.tensors import Array
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program, reference
from augurium.preprocessing import transforms as t
from augurium.preprocessing.declaration import Column, Preprocessing
from augurium.preprocessing.learning import MAX_LEVELS, Limits
from augurium.preprocessing.plan import Plan
from augurium.preprocessing.raw_values import as_numbers, raw_columns
from augurium.preprocessing.tables import TableStream, batch_from, stream

Progress = Callable[[str, float], None]


def fit(
    declared: Preprocessing,
    table: Any,
    target: str | None = None,
    max_levels: int = MAX_LEVELS,
    progress: Progress | None = None,
) -> f.FittedPreprocessing:
    """Learns what the transforms need from a table (see `tables.stream`). Blocking.

    `target` names the column of the answers, for target_mean. `max_levels` bounds the levels of a
    column. Raises InvalidArgument for tables and columns that do not fit.
    """
    declared = declared.checked()
    source = stream(table, {column.name: column.type for column in declared.declared_columns})
    return _Fit(declared, source, target, Limits(max_levels), progress).run()


class _Fit:
    def __init__(
        self,
        declared: Preprocessing,
        source: TableStream,
        target: str | None,
        limits: Limits,
        progress: Progress | None,
    ) -> None:
        self._transforms = tuple(declared.transforms)
        self._source = source
        self._target = target
        self._limits = limits
        self._progress = progress
        self._columns = _raw(declared, source, target)
        self._inputs = [_provisional(c, source, self._transforms) for c in self._columns]
        self._steps: dict[int, list[f.AnyStep]] = {}
        self._missing: dict[str, int] = dict.fromkeys((c.name for c in self._columns), 0)
        self._rows = 0
        self._passes = 0

    def run(self) -> f.FittedPreprocessing:
        self._check_target()
        # the missing values are counted even if there is nothing to learn
        while not self._passes or len(self._steps) < len(self._transforms):
            self._pass(Plan(self._transforms, self._steps, self._limits, self._types()))
        return self._assembled()

    def _types(self) -> program.Types:
        return {column.name: column.type for column in self._inputs}

    def _check_target(self) -> None:
        learners = [x for x in self._transforms if isinstance(x, t.TargetMean)]
        if learners and self._target is None:
            raise InvalidArgument(
                f"target_mean of '{t.columns_of(learners[0])[0]}' needs the target column; name it"
                " (target=..., --target)"
            )
        if self._target is not None and self._target not in self._source.types:
            raise InvalidArgument(
                f"the target '{self._target}' is not a column of the table; it has"
                f" {list(self._source.types)[:16]}"
            )

    def _pass(self, plan: Plan) -> None:
        if self._passes and self._source.once and plan.observes:
            raise InvalidArgument(
                f"{plan.first_learner} learns from what another transform has learned, so the"
                " table is read twice; give a file or a table instead of an iterator"
            )
        if plan.observes or not self._passes:
            self._read(plan)
        plan.resolve()
        self._passes += 1

    def _read(self, plan: Plan) -> None:
        names = [column.name for column in self._inputs]
        if self._target is not None and self._target not in names:
            names.append(self._target)
        seen = 0
        for batch in self._source.open(tuple(names)):
            with batch_from(seen):
                columns = raw_columns(tuple(self._inputs), batch)
                target = None if self._target is None else self._targets(batch)
            rows = len(next(iter(columns.values())))
            if not self._passes:
                for name, values in columns.items():
                    self._missing[name] += int(reference.is_missing(values).sum())
            plan.observe(columns, target)
            seen += rows
            self._tell(seen)
        if not seen:
            raise InvalidArgument("the training table has no rows; expected at least one")
        self._rows = seen

    def _targets(self, batch: Any) -> Array:
        name = str(self._target)
        found = as_numbers(name, batch[name])
        if np.isnan(found).any():
            raise InvalidArgument(
                f"the target '{name}' has missing values; leave these rows out of the table"
            )
        return found

    def _tell(self, seen: int) -> None:
        if self._progress is not None:
            share = seen / self._source.rows if self._source.rows else 0.0
            self._progress(f"pass {self._passes + 1}: {seen} rows", share)

    def _assembled(self) -> f.FittedPreprocessing:
        steps = [step for number in sorted(self._steps) for step in self._steps[number]]
        inputs = [
            self._final(column, raw)
            for column, raw in zip(self._columns, self._inputs, strict=True)
        ]
        types: program.Types = {column.name: column.type for column in inputs}
        for step in steps:
            types = program.after(step, types)
        found = f.FittedPreprocessing(
            inputs=tuple(inputs),
            steps=tuple(steps),
            outputs=tuple(types),
            source="fit",
            rows=self._rows,
        ).sealed()
        program.check(found)
        return found

    def _final(self, column: Column, raw: f.RawColumn) -> f.RawColumn:
        """The raw column with what the pass has shown: missing values and known categories."""
        missing = self._missing[column.name]
        if column.missing == "error" and missing:
            raise InvalidArgument(
                f"column '{column.name}' has {missing} missing values in the training table, but"
                " declares missing = 'error'; declare 'ignore' or 'default', or leave the rows out"
            )
        imputed = any(
            isinstance(x, t.Impute) and column.name in t.columns_of(x) for x in self._transforms
        )
        nullable = column.missing in ("ignore", "default") or (
            column.missing is None and (imputed or missing > 0 or column.wrong_type == "missing")
        )
        return msgspec.structs.replace(
            raw, nullable=nullable, categories=self._closed_categories(raw)
        )

    def _closed_categories(self, raw: f.RawColumn) -> tuple[str, ...]:
        """The categories of a column that shall refuse others."""
        for number, transform in enumerate(self._transforms):
            if getattr(transform, "unseen", "") != "error":
                continue
            if raw.name not in t.columns_of(transform):
                if not any(raw.name == c.name for c in self._inputs):
                    continue
                for name in t.columns_of(transform):
                    self._check_closed(name, number)
                continue
            self._check_closed(raw.name, number)
            (step,) = (s for s in self._steps[number] if program.reads(s) == (raw.name,))
            return tuple(str(level) for level in getattr(step, "levels", ()))
        return ()

    def _check_closed(self, name: str, number: int) -> None:
        """A server can refuse a category only of a raw text column that nothing has changed."""
        raw = next((c for c in self._inputs if c.name == name), None)
        changed = any(
            name in t.columns_of(x) and not isinstance(x, t.Impute | t.Copy | t.Cross | t.Text)
            for x in self._transforms[:number]
        )
        if raw is None or raw.type != "text" or changed:
            raise InvalidArgument(
                f"unseen = 'error' of '{name}' cannot be kept: only a raw text column can refuse"
                " categories; use 'ignore' or 'default'"
            )


def _raw(declared: Preprocessing, source: TableStream, target: str | None) -> list[Column]:
    """The raw columns: declared ones first, then those of the table in order of first use."""
    found = {column.name: column for column in declared.declared_columns}
    for name in found:
        if name not in source.types:
            raise InvalidArgument(
                f"the declared column '{name}' is not in the table; it has"
                f" {list(source.types)[:16]}"
            )
    for transform in declared.transforms:
        for name in t.columns_of(transform):
            if name in source.types:
                found.setdefault(name, Column(name))
    if target in found:
        raise InvalidArgument(
            f"the target '{target}' is also used as a feature; leave it out of the transforms and"
            " columns"
        )
    if not found:
        raise InvalidArgument(
            "the preprocessing reads no column of the table; name columns in transforms or in"
            f" 'columns'; the table has {list(source.types)[:16]}"
        )
    return list(found.values())


def _provisional(
    column: Column, source: TableStream, transforms: tuple[t.AnyTransform, ...]
) -> f.RawColumn:
    """The raw column as the passes read it: missing values are counted, not refused."""
    kind = column.type or source.types[column.name]
    return f.RawColumn(
        column.name,
        kind,  # type: ignore[arg-type]
        nullable=True,
        optional=column.missing in ("ignore", "default"),
        wrong_type=column.wrong_type,
        default=_default(column, kind),
        cleaning=_cleaning(column.name, kind, transforms),
    )


def _default(column: Column, kind: str) -> float | str | None:
    default = column.default
    if default is None:
        return None
    if kind == "datetime":
        return str(epoch_seconds(str(default)) and default)
    if isinstance(default, str) != (kind == "text"):
        raise InvalidArgument(
            f"the default {default!r} of column '{column.name}' is no {kind}; correct it"
        )
    return default


def _cleaning(name: str, kind: str, transforms: tuple[t.AnyTransform, ...]) -> tuple[str, ...]:
    """What is done to the texts of a raw column at the door."""
    found: tuple[str, ...] = ()
    read = False
    for transform in transforms:
        if name not in t.columns_of(transform):
            continue
        if isinstance(transform, t.Text):
            if read or kind != "text":
                raise InvalidArgument(
                    f"text of '{name}' must come before every other transform of a raw text column"
                )
            wanted = {"trim": transform.trim, "lower": transform.lower}
            found = tuple(step for step, on in wanted.items() if on)
        else:
            read = True
    return found
