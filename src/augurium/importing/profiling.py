"""The last job of an import: the reference profile and example rows, from the training table.

Two passes: the first finds the bins and the rows worth showing, the second counts, and runs rows
through the chosen engine.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import AuguriumError
from augurium.core.tensors import Array
from augurium.importing.answers import Answers, random_rows
from augurium.importing.feature_columns import FeatureColumns, declared_kinds, table_features
from augurium.importing.job import PROFILE_FILE, Profiled, ProfileJob
from augurium.importing.telling_rows import TellingRows
from augurium.importing.training_table import Block, TrainingTable, open_table
from augurium.runtimes.runtime import load
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import profile_of, write_profile
from augurium.statistics.reference_bins import ReferenceBins
from augurium.statistics.values import Values

EXAMPLES = 5
TELLING_EXAMPLES = 3
TRIED_EXAMPLES = 12
MAX_EXAMPLES_BYTES = 200 * 1024
MOST_SHOWN = 8


def profile(job: ProfileJob) -> Profiled:
    """Writes the profile to PROFILE_FILE in the working folder and reports about it.

    Raises InvalidArgument for a table that cannot be read.
    """
    reading = _Reading(job)
    reading.find_bins()
    reading.count()
    notes = reading.notes()
    found = profile_of(
        reading.profiler.profiles(),
        reading.answers.profiles() if reading.answers else (),
        rows=reading.rows,
        output_rows=reading.answers.rows if reading.answers else 0,
        notes=notes,
    )
    Path(PROFILE_FILE).write_bytes(write_profile(found))
    return Profiled(
        rows=found.rows,
        output_rows=found.output_rows,
        examples=_small(reading.examples),
        notes=notes,
    )


class _Reading:
    """The table on its way through both passes."""

    def __init__(self, job: ProfileJob) -> None:
        self._table: TrainingTable = open_table(Path(job.table), declared_kinds(job.signature))
        self._columns = FeatureColumns(job.signature, self._table.fields)
        # nothing of the signature is a column: the table is described as it is
        self._as_it_is = not self._columns.names
        self._job = job
        self._failure = ""
        self._first: dict[str, Values] = {}
        self._shown: Array = np.empty(0, np.int64)
        self._rank_error = 0.0
        self.rows = 0
        self.answers: Answers | None = None
        self.examples: list[dict[str, Any]] = []

    def find_bins(self) -> None:
        """The first pass."""
        fields = self._table.fields
        features = table_features(fields) if self._as_it_is else self._columns.features()
        bins, telling = ReferenceBins(features), TellingRows(self._described_fields())
        for block in self._table.blocks():
            columns = self._values(block)
            self._first = self._first or columns
            bins.observe(columns)
            telling.observe(block)
        self.rows = telling.rows
        self._rank_error = bins.rank_error
        self.profiler = Profiler(bins.bins())
        others = random_rows(self.rows, TRIED_EXAMPLES)
        self._shown = np.array(
            list(dict.fromkeys([*telling.positions(TELLING_EXAMPLES), *others.tolist()]))
        )

    def count(self) -> None:
        """The second pass."""
        chosen = self._load()
        offset = 0
        for block in self._table.blocks():
            columns = self._values(block)
            self.profiler.update(columns)
            count = len(next(iter(block.values())))
            if self.answers is not None:
                first, last = np.searchsorted(chosen, (offset, offset + count))
                self.answers.ask(columns, chosen[first:last] - offset)
                self._note_examples(columns, offset, count)
            offset += count
        self.examples = [self._kept[p] for p in self._shown.tolist() if p in self._kept]

    def notes(self) -> tuple[str, ...]:
        """What is not in the profile, for people."""
        found = []
        if self._table.left_out:
            found.append(f"columns of other types were left out: {_some(self._table.left_out)}")
        if self._columns.obstacle():
            found.append(f"no profile of the outputs: {self._columns.obstacle()}")
        if self._failure:
            found.append(f"no profile of the outputs: {self._failure}")
        if self._rank_error:
            found.append(
                f"the deciles come from a sample and may be off by {self._rank_error:.2%} of rows"
            )
        if self.answers is not None:
            found += self._notes_of_answers(self.answers)
        return tuple(found)

    def _notes_of_answers(self, answers: Answers) -> list[str]:
        found = []
        if answers.left_out:
            found.append(f"outputs with many numbers were left out: {_some(answers.left_out)}")
        if answers.rows < self.rows:
            found.append(f"the outputs are those of {answers.rows} of {self.rows} rows")
        if answers.failed:
            found.append(f"the model failed on {answers.failed} rows")
        return found

    def _load(self) -> Array:
        """Loads the model, if the table fits it; returns which rows it is to answer."""
        self._kept: dict[int, dict[str, Any]] = {}
        job = self._job
        if job.signature.streamed:
            self._failure = "the model gives any number of answers to a row"
        if self._failure or self._columns.obstacle():
            return np.empty(0, np.int64)
        try:
            weights = Path(job.weights) if job.weights else None
            model = load(job.runtime, Path(job.model), job.options, weights)
        except AuguriumError as error:
            self._failure = str(error)
            return np.empty(0, np.int64)
        self.answers = Answers(model, job.signature, self._columns, job.seconds)
        affordable = self.answers.affordable_rows(self._first, self.rows)
        return random_rows(self.rows, affordable)

    def _note_examples(self, columns: dict[str, Values], offset: int, count: int) -> None:
        inside = self._shown[(self._shown >= offset) & (self._shown < offset + count)]
        if not len(inside) or self.answers is None:
            return
        servable = self._columns.servable(columns)
        for position in inside.tolist():
            row = position - offset
            if servable[row] and self.answers.answers(columns, row):
                self._kept[position] = self._columns.instance(columns, row)

    def _values(self, block: Block) -> dict[str, Values]:
        return dict(block) if self._as_it_is else self._columns.columns(block)

    def _described_fields(self) -> list[Any]:
        names = set(self._columns.names)
        return [f for f in self._table.fields if self._as_it_is or f.name in names]


def _small(examples: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """As many of the examples as fit a version's record; huge ones are passed over."""
    found: list[dict[str, Any]] = []
    left = MAX_EXAMPLES_BYTES
    for example in examples:
        size = len(msgspec.json.encode(example))
        if size <= left and len(found) < EXAMPLES:
            found.append(example)
            left -= size
    return tuple(found)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:MOST_SHOWN])
    return shown if len(names) <= MOST_SHOWN else f"{shown} and {len(names) - MOST_SHOWN} more"
