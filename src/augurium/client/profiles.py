"""The reference profile of a version, as the server answers it."""

import itertools
import math

import msgspec


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """What the values of a feature were counted in; `type` is `numeric` or `categorical`.

    Numeric: below `low`, between the `edges`, above `high`. Categorical: each of `categories`, all
    others of the reference, and those it did not hold.
    """

    type: str
    name: str
    low: float = 0.0
    high: float = 0.0
    edges: tuple[float, ...] = ()
    categories: tuple[str | float, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for every counter."""
        if self.type == "categorical":
            return (*map(_label, self.categories), "__other__", "__new__")
        bounds = (self.low, *self.edges, self.high)
        inner = (f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(bounds))
        return (f"below {self.low:.4g}", *inner, f"above {self.high:.4g}")


class Moments(msgspec.Struct, frozen=True):
    """Count and mean of the finite numbers, and the sum `m2` of their squared deviations."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of the sample."""
        return math.sqrt(self.m2 / (self.n - 1)) if self.n > 1 else 0.0


class FeatureProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of a feature or an output: `n` values, of which the rest is in `counts`."""

    bins: Bins
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
    def labelled_counts(self) -> tuple[tuple[str, int], ...]:
        """The counters with their names."""
        return tuple(zip(self.bins.labels, self.counts, strict=True))


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the training data and the model's answers to it looked like."""

    schema_hash: str
    features: tuple[FeatureProfile, ...] = ()
    outputs: tuple[FeatureProfile, ...] = ()
    rows: int = 0
    output_rows: int = 0
    notes: tuple[str, ...] = ()


def _label(category: str | float) -> str:
    return category if isinstance(category, str) else f"{category:.6g}"
