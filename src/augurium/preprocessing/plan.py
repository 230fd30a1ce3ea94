"""What one pass over the training rows does, and what can be learned from it."""

from typing import Any, NamedTuple

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program, reference
from augurium.preprocessing import transforms as t
from augurium.preprocessing.fixed_steps import Buckets, fixed_steps
from augurium.preprocessing.learning import Limits, learned, needed
from augurium.preprocessing.summaries import Summary

Known = dict[int, list[f.AnyStep]]
Key = tuple[int, str]


class Observation(NamedTuple):
    """Here a summary takes the column in: the number of the transform, the column."""

    transform: int
    column: str


class Plan:
    """The events of a pass, in the order of the transforms: steps that are known are applied, and
    columns are observed for those that are not.

    A column whose impute is not known yet is observed as it is, and its summary is told the value
    afterwards. A column changed by another unknown transform waits for the next pass. `known` gets
    the steps of transforms that need no rows at once, those of the others by `resolve`.
    """

    def __init__(
        self,
        transforms: tuple[t.AnyTransform, ...],
        known: Known,
        limits: Limits,
        types: program.Types,
    ) -> None:
        self._transforms = transforms
        self._known = known
        self._limits = limits
        self._types = types
        self._events: list[f.AnyStep | Observation] = []
        self._summaries: dict[Key, Summary] = {}
        self._imputed_by: dict[str, int] = {}
        self._imputed_before: dict[Key, int] = {}
        self._blocked: set[str] = set()
        self._buckets: Buckets = {}
        for number, transform in enumerate(transforms):
            self._add(number, transform)

    @property
    def observes(self) -> bool:
        """Whether rows are needed."""
        return bool(self._summaries)

    @property
    def first_learner(self) -> str:
        """The first transform that learns from the rows, for messages."""
        number, column = next(iter(self._summaries))
        return f"the {t.kind_of(self._transforms[number])} of '{column}'"

    def observe(self, columns: dict[str, Array], target: Array | None) -> None:
        """Takes in a batch of raw columns."""
        for event in self._events:
            if isinstance(event, Observation):
                self._summaries[event].add(columns[event.column], target)
            else:
                columns = reference.applied(event, columns)

    def resolve(self) -> None:
        """Makes known what the rows have taught."""
        fills: dict[Key, Any] = {}
        for number in dict.fromkeys(number for number, _ in self._summaries):
            transform, steps = self._transforms[number], []
            for column in t.columns_of(transform):
                summary = self._summaries[number, column]
                imputed = self._imputed_before.get((number, column))
                if imputed is not None:
                    summary = summary.filled(fills[imputed, column])
                found = learned(transform, column, summary)
                for step in found:
                    if isinstance(step, f.Fill):
                        fills[number, column] = step.value
                steps += found
            self._known[number] = steps

    def _add(self, number: int, transform: t.AnyTransform) -> None:
        columns = t.columns_of(transform)
        self._check_names(transform)
        if number in self._known:
            self._apply(transform, self._known[number])
        elif self._must_wait(transform):
            self._block(transform)
        elif (make := self._needed(transform)) is None:
            if any(column in self._imputed_by for column in columns):
                self._block(transform)
                return
            steps = fixed_steps(transform, self._types, self._buckets)
            self._known[number] = steps
            self._apply(transform, steps)
        else:
            for column in columns:
                program.check_kind(t.kind_of(transform), column, self._types, _takes(transform))
                self._observe(Observation(number, column), make(), transform)

    def _observe(self, key: Observation, summary: Any, transform: t.AnyTransform) -> None:
        self._events.append(key)
        self._summaries[key] = summary
        if key.column in self._imputed_by:
            self._imputed_before[key] = self._imputed_by[key.column]
        if isinstance(transform, t.Impute):
            self._imputed_by[key.column] = key.transform
        else:
            self._blocked.add(key.column)

    def _apply(self, transform: t.AnyTransform, steps: list[f.AnyStep]) -> None:
        for step in steps:
            self._types = program.after(step, self._types)
            self._events.append(step)
        for column in t.columns_of(transform):
            self._note_buckets(transform, column, steps)

    def _note_buckets(self, transform: t.AnyTransform, column: str, steps: list[f.AnyStep]) -> None:
        """Remembers which columns are numbers of buckets, whose levels need no counting."""
        if isinstance(transform, t.Copy):
            if column in self._buckets:
                self._buckets[transform.output] = self._buckets[column]
        elif isinstance(transform, t.Bucketize):
            self._buckets.update(
                {s.column: len(s.edges) + 1 for s in steps if isinstance(s, f.Buckets)}
            )
        elif not isinstance(transform, t.Cross | t.Drop | t.Select):
            self._buckets.pop(column, None)

    def _needed(self, transform: t.AnyTransform) -> Any:
        if isinstance(transform, t.OneHot | t.Ordinal):
            known = [column in self._buckets for column in t.columns_of(transform)]
            if all(known):
                return None
            if any(known):
                raise InvalidArgument(
                    f"the {t.kind_of(transform)} of {list(t.columns_of(transform))[:8]} mixes"
                    " bucket numbers with other columns; write one for each"
                )
        return needed(transform, self._limits)

    def _must_wait(self, transform: t.AnyTransform) -> bool:
        if isinstance(transform, t.Select):
            # it names columns that unknown transforms make
            return bool(self._blocked or self._imputed_by)
        columns = t.columns_of(transform)
        return any(name in self._blocked or name not in self._types for name in columns)

    def _block(self, transform: t.AnyTransform) -> None:
        if not isinstance(transform, t.Copy | t.Cross | t.Select):
            self._blocked.update(t.columns_of(transform))
        if output := getattr(transform, "output", ""):
            self._blocked.add(output)

    def _check_names(self, transform: t.AnyTransform) -> None:
        for name in t.columns_of(transform):
            pending = self._blocked | set(self._imputed_by)
            # a transform that has not been fitted yet may make a column of this name
            made = name in pending or any(name.startswith(f"{other}_") for other in pending)
            if name not in self._types and not made:
                raise InvalidArgument(
                    f"the {t.kind_of(transform)} names the column '{name}', which is neither in the"
                    f" table nor made by a transform before it; there are {list(self._types)[:16]}"
                )


def _takes(transform: t.AnyTransform) -> tuple[str, ...]:
    """The types of columns that a transform learns from."""
    if isinstance(transform, t.OneHot | t.Ordinal | t.Frequency | t.TargetMean):
        return ("text", "number")
    if isinstance(transform, t.Impute) and transform.strategy == "most_frequent":
        return ("text", "number")
    return ("number",)
