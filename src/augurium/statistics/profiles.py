"""Profiles: what a feature or an output looked like, as counters that add up.

A profile is a commutative monoid: profiles of parts merge to the profile of the whole, in any
order, and that of nothing changes nothing.
"""

import itertools
from typing import Self

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.statistics.bins import (
    NEW,
    OTHER,
    CategoricalBins,
    FeatureBins,
    NumericBins,
    schema_hash,
)
from augurium.statistics.moments import Moments

Labelled = tuple[tuple[str, int], ...]


class FeatureProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of one feature.

    `n` values were seen: `n_missing` were not there, `n_nan` and `n_inf` no finite numbers,
    `n_type_error` of another type, and the rest is in `counts`, one per bin. `min`, `max` and
    `moments` are of the finite numbers.
    """

    bins: FeatureBins
    counts: tuple[int, ...]
    n: int = 0
    n_missing: int = 0
    n_nan: int = 0
    n_inf: int = 0
    n_type_error: int = 0
    min: float | None = None
    max: float | None = None
    moments: Moments = Moments()

    @property
    def n_below(self) -> int:
        """Numbers below the reference."""
        return self.counts[0] if isinstance(self.bins, NumericBins) else 0

    @property
    def n_above(self) -> int:
        """Numbers above the reference."""
        return self.counts[-1] if isinstance(self.bins, NumericBins) else 0

    @property
    def n_new_category(self) -> int:
        """Values of categories that the reference did not hold."""
        return self.counts[-1] if isinstance(self.bins, CategoricalBins) else 0

    def labelled_counts(self) -> Labelled:
        """The counters with names for people."""
        return tuple(zip(_labels(self.bins), self.counts, strict=True))

    def merged(self, other: Self) -> "FeatureProfile":
        """Both together; the bins must be equal."""
        return FeatureProfile(
            bins=self.bins,
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            n=self.n + other.n,
            n_missing=self.n_missing + other.n_missing,
            n_nan=self.n_nan + other.n_nan,
            n_inf=self.n_inf + other.n_inf,
            n_type_error=self.n_type_error + other.n_type_error,
            min=min((v for v in (self.min, other.min) if v is not None), default=None),
            max=max((v for v in (self.max, other.max) if v is not None), default=None),
            moments=self.moments.merged(other.moments),
        )


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile of a version: its features, its outputs, and what was counted how.

    `rows` are those of the features, `output_rows` those the model answered. `notes` say what is
    not in it, for people.
    """

    schema_hash: str
    features: tuple[FeatureProfile, ...] = ()
    outputs: tuple[FeatureProfile, ...] = ()
    rows: int = 0
    output_rows: int = 0
    notes: tuple[str, ...] = ()

    def merged(self, other: Self) -> "Profile":
        """Both together. Raises InvalidArgument when they were counted in different bins."""
        if self.schema_hash != other.schema_hash:
            raise InvalidArgument(
                f"profiles of different bins cannot be merged: {self.schema_hash[:12]} and "
                f"{other.schema_hash[:12]}; count both with the bins of one version"
            )
        return Profile(
            schema_hash=self.schema_hash,
            features=_merged(self.features, other.features),
            outputs=_merged(self.outputs, other.outputs),
            rows=self.rows + other.rows,
            output_rows=self.output_rows + other.output_rows,
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )


def profile_of(
    features: tuple[FeatureProfile, ...],
    outputs: tuple[FeatureProfile, ...] = (),
    rows: int = 0,
    output_rows: int = 0,
    notes: tuple[str, ...] = (),
) -> Profile:
    """A profile with the hash of its bins."""
    found = schema_hash((f.bins for f in features), (o.bins for o in outputs))
    return Profile(
        schema_hash=found,
        features=features,
        outputs=outputs,
        rows=rows,
        output_rows=output_rows,
        notes=notes,
    )


def empty_profile(profile: Profile) -> Profile:
    """The profile of nothing, in the same bins."""
    return msgspec.structs.replace(
        profile,
        features=tuple(nothing(feature.bins) for feature in profile.features),
        outputs=tuple(nothing(output.bins) for output in profile.outputs),
        rows=0,
        output_rows=0,
        notes=(),
    )


def nothing(bins: FeatureBins) -> FeatureProfile:
    """The counters before anything was counted."""
    return FeatureProfile(bins=bins, counts=(0,) * bins.size)


def read_profile(content: bytes) -> Profile:
    """A profile from its JSON.

    Raises InvalidArgument for what is not one, and when the hash is not that of the bins.
    """
    try:
        profile = msgspec.json.decode(content, type=Profile)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"the profile cannot be read: {error}") from error
    parts = (*profile.features, *profile.outputs)
    if any(len(part.counts) != part.bins.size for part in parts):
        raise InvalidArgument("the profile is damaged: a feature has more or fewer counters")
    known = schema_hash((f.bins for f in profile.features), (o.bins for o in profile.outputs))
    if known != profile.schema_hash:
        raise InvalidArgument("the profile is damaged: its hash is not that of its bins")
    return profile


def write_profile(profile: Profile) -> bytes:
    """The profile as JSON; numbers come back exactly."""
    return msgspec.json.encode(profile)


def _merged(
    some: tuple[FeatureProfile, ...], others: tuple[FeatureProfile, ...]
) -> tuple[FeatureProfile, ...]:
    return tuple(one.merged(other) for one, other in zip(some, others, strict=True))


def _labels(bins: FeatureBins) -> list[str]:
    if isinstance(bins, CategoricalBins):
        return [*(_label(category) for category in bins.categories), OTHER, NEW]
    bounds = [bins.low, *bins.edges, bins.high]
    inner = [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(bounds)]
    return [f"below {bins.low:.4g}", *inner, f"above {bins.high:.4g}"]


def _label(category: str | float) -> str:
    return category if isinstance(category, str) else f"{category:.6g}"
