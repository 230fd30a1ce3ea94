"""What a worker remembers of the rows of a partition, for the report: sums that add up.

Every answer is counted, the features of some rows only, evenly spaced, where there is a training
profile to hold against; nulls are counted in all rows. It goes into the results of partitions as
JSON, about 10 KB with 50 features and one output.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

import msgspec

from augurium.batch.partition import RejectedRow
from augurium.statistics.bins import FeatureBins
from augurium.statistics.moments import Moments
from augurium.statistics.number_histogram import NumberHistogram
from augurium.statistics.profiles import FeatureProfile, Profile

MOST_EXAMPLES = 20
MOST_OF_A_KIND = 5
MOST_TEXTS = 1000

Key = TypeVar("Key")


class BinCounts(msgspec.Struct, frozen=True, array_like=True):
    """A `FeatureProfile` without its bins, which are those of the training profile."""

    counts: tuple[int, ...]
    n: int
    n_missing: int
    n_nan: int
    n_inf: int
    n_type_error: int
    min: float | None
    max: float | None
    moments: Moments

    def in_bins(self, bins: FeatureBins) -> FeatureProfile:
        """The same with its bins."""
        return FeatureProfile(bins=bins, **msgspec.structs.asdict(self))


class OutputCounts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answers of one output, or of one number of it.

    `n` answers, of which `nulls` were none. Numbers are in `numbers`, with extremes and moments;
    `whole` where they can only be whole. Texts are in `texts`, the most frequent ones by how many
    there were, and `other_texts` counts the rest.
    """

    name: str
    n: int = 0
    nulls: int = 0
    whole: bool = False
    n_nan: int = 0
    n_inf: int = 0
    min: float | None = None
    max: float | None = None
    moments: Moments = Moments()
    numbers: NumberHistogram = NumberHistogram()
    texts: dict[str, int] = {}
    other_texts: int = 0

    def merged(self, other: "OutputCounts") -> "OutputCounts":
        """Both together."""
        texts = dict(self.texts)
        for text, count in other.texts.items():
            texts[text] = texts.get(text, 0) + count
        kept, left = most_frequent(texts)
        return OutputCounts(
            name=self.name,
            n=self.n + other.n,
            nulls=self.nulls + other.nulls,
            whole=self.whole and other.whole,
            n_nan=self.n_nan + other.n_nan,
            n_inf=self.n_inf + other.n_inf,
            min=min((v for v in (self.min, other.min) if v is not None), default=None),
            max=max((v for v in (self.max, other.max) if v is not None), default=None),
            moments=self.moments.merged(other.moments),
            numbers=self.numbers.merged(other.numbers),
            texts=kept,
            other_texts=self.other_texts + other.other_texts + left,
        )


class RejectCount(msgspec.Struct, frozen=True, array_like=True):
    """How many rows were set aside for a kind of reason in a column, empty if it is none."""

    kind: str
    column: str
    rows: int


class PartitionSummary(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Of the rows of one partition or more.

    `core_s` are seconds of cores that they took. `nulls` has, for every feature that had any, in
    how many of the `rows` it was null or no number. `features` and `answers` are in the bins of the
    training profile and of some rows. `left_out` are outputs of more numbers than are counted.
    """

    core_s: float = 0.0
    rows: int = 0
    nulls: dict[str, int] = {}
    outputs: tuple[OutputCounts, ...] = ()
    left_out: tuple[str, ...] = ()
    features: dict[str, BinCounts] = {}
    answers: dict[str, BinCounts] = {}
    rejected: tuple[RejectCount, ...] = ()
    examples: tuple[RejectedRow, ...] = ()


class SummarySum:
    """Adds summaries up, in any order of partitions but the same one for the same result."""

    def __init__(
        self, bins: Mapping[str, FeatureBins], answer_bins: Mapping[str, FeatureBins]
    ) -> None:
        self._bins, self._answer_bins = bins, answer_bins
        self.core_s = 0.0
        self.rows = 0
        self.nulls: dict[str, int] = {}
        self.outputs: dict[str, OutputCounts] = {}
        self.left_out: dict[str, None] = {}
        self.features: dict[str, FeatureProfile] = {}
        self.answers: dict[str, FeatureProfile] = {}
        self.rejected: dict[tuple[str, str], int] = {}
        self.examples: list[RejectedRow] = []

    @classmethod
    def of_profile(cls, profile: Profile | None) -> Self:
        """A sum in the bins of a training profile, if there is one."""
        if profile is None:
            return cls({}, {})
        return cls(
            {each.bins.name: each.bins for each in profile.features},
            {each.bins.name: each.bins for each in profile.outputs},
        )

    def add(self, summary: PartitionSummary) -> None:
        """Adds one more."""
        self.core_s += summary.core_s
        self.rows += summary.rows
        _add(self.nulls, summary.nulls.items())
        for output in summary.outputs:
            known = self.outputs.get(output.name)
            self.outputs[output.name] = output if known is None else known.merged(output)
        self.left_out.update(dict.fromkeys(summary.left_out))
        _add_profiles(self.features, self._bins, summary.features)
        _add_profiles(self.answers, self._answer_bins, summary.answers)
        _add(self.rejected, (((one.kind, one.column), one.rows) for one in summary.rejected))
        for example in summary.examples:
            keep_example(self.examples, example)


def keep_example(examples: list[RejectedRow], row: RejectedRow) -> None:
    """Keeps a row as an example if there is room for it: few of a kind, so that all kinds have."""
    alike = sum(1 for example in examples if example.kind == row.kind)
    if alike < MOST_OF_A_KIND and len(examples) < MOST_EXAMPLES:
        examples.append(row)


def most_frequent(texts: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """The most frequent texts, and how many values the others have; the same for the same texts."""
    if len(texts) <= MOST_TEXTS:
        return dict(texts), 0
    ranked = sorted(texts.items(), key=lambda entry: (-entry[1], entry[0]))
    return dict(ranked[:MOST_TEXTS]), sum(count for _, count in ranked[MOST_TEXTS:])


def read_summary(content: Mapping[str, Any]) -> PartitionSummary:
    """A summary from the result of a partition."""
    return msgspec.convert(content, PartitionSummary)


def _add(into: dict[Key, int], found: Iterable[tuple[Key, int]]) -> None:
    for name, count in found:
        into[name] = into.get(name, 0) + count


def _add_profiles(
    into: dict[str, FeatureProfile],
    known: Mapping[str, FeatureBins],
    found: Mapping[str, BinCounts],
) -> None:
    for name, counts in found.items():
        bins = known.get(name)
        # what was counted in the bins of another profile cannot be held against this one
        if bins is None or bins.size != len(counts.counts):
            continue
        profile = counts.in_bins(bins)
        into[name] = into[name].merged(profile) if name in into else profile
