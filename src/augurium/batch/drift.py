"""How far the rows of a job are from the training data: feature by feature, and the answers.

A distance must be larger than a convention says, and larger than chance makes it. Population
stability index: 0.10 and 0.25, as in credit scoring; Jensen-Shannon distance: 0.1 and 0.2. Shares
of values that are missing, of another type, outside the range of the training data or of categories
that it did not hold have limits of their own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from augurium.batch.number_texts import share
from augurium.statistics.bins import CategoricalBins, NumericBins
from augurium.statistics.divergences import chance_js, chance_psi, js_distance, psi
from augurium.statistics.profiles import FeatureProfile, Profile

Status = Literal["ok", "warn", "alert", "insufficient_data"]
LEAST_ROWS = 1000
PSI = (0.10, 0.25)
JS = (0.1, 0.2)
MISSING = (0.01, 0.05)
OUTSIDE = (0.001, 0.01)
NEW = (0.005, 0.05)
TYPE_ERRORS = (0.0, 0.001)
# two-sided, once in a thousand times by chance
SURE_Z = 3.29
# beyond the extremes of m rows lie 2/m of the others, and more than this / m once in a thousand
# times: a gamma distribution of shape 2
BEYOND_EXTREMES = 9.23
ORDER = {"alert": 0, "warn": 1, "ok": 2, "insufficient_data": 3}
PICTURES = 24
MOST_BARS = 16
NO_PROFILE = "the version has no training profile; register it with --data TABLE to compare"


class Bar(msgspec.Struct, frozen=True):
    """A bin: its name for people, and the shares of training and job that are in it."""

    label: str
    training: float
    job: float


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, or one output. `rows` were looked at in the job, `training_rows` in training.

    Shares are of these rows. `reasons` are sentences, empty when nothing is to be said. `bars` are
    there for those that drifted most.
    """

    name: str
    part: Literal["feature", "output"]
    status: Status
    psi: float
    psi_by_chance: float
    js: float
    rows: int
    training_rows: int
    missing: float = 0.0
    training_missing: float = 0.0
    outside: float = 0.0
    new_categories: float = 0.0
    type_errors: float = 0.0
    reasons: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, the worst first. `note` says why there is none."""

    note: str = ""
    alerts: int = 0
    warnings: int = 0
    features: tuple[FeatureDrift, ...] = ()


def drift_of(
    training: Profile | None,
    features: Mapping[str, FeatureProfile],
    answers: Mapping[str, FeatureProfile],
) -> Drift:
    """Holds what was counted in a job against the training profile of its version."""
    if training is None:
        return Drift(note=NO_PROFILE)
    found = [
        *_compared("feature", training.features, features),
        *_compared("output", training.outputs, answers),
    ]
    if not found:
        return Drift(note="no feature of the training profile was in the input")
    found.sort(key=lambda one: (ORDER[one.status], -one.psi, one.name))
    pictured = {(one.part, one.name) for one in found[:PICTURES]}
    return Drift(
        alerts=sum(one.status == "alert" for one in found),
        warnings=sum(one.status == "warn" for one in found),
        features=tuple(
            one if (one.part, one.name) in pictured else msgspec.structs.replace(one, bars=())
            for one in found
        ),
    )


def _compared(
    part: Literal["feature", "output"],
    training: Iterable[FeatureProfile],
    found: Mapping[str, FeatureProfile],
) -> Iterator[FeatureDrift]:
    for before in training:
        now = found.get(before.bins.name)
        if now is not None and now.n and before.n:
            yield _drift(part, before, now)


def _drift(
    part: Literal["feature", "output"], before: FeatureProfile, now: FeatureProfile
) -> FeatureDrift:
    sides = _inside(before), _inside(now)
    index, distance, by_chance = psi(*sides), js_distance(*sides), chance_psi(*sides)
    findings = [
        _grade("PSI", index, PSI, by_chance),
        _grade("JS distance", distance, JS, chance_js(*sides)),
        *_quality(before, now),
    ]
    worst = max(grade for grade, _ in findings)
    enough = sum(now.counts) >= LEAST_ROWS and sum(before.counts) > 0
    status: Status = ("ok", "warn", "alert")[worst] if enough else "insufficient_data"
    reasons = tuple(text for grade, text in findings if grade)
    if not enough:
        reasons = (f"only {sum(now.counts)} values to compare, expected {LEAST_ROWS} at least",)
    return FeatureDrift(
        name=before.bins.name,
        part=part,
        status=status,
        psi=index,
        psi_by_chance=by_chance,
        js=distance,
        rows=now.n,
        training_rows=before.n,
        missing=_missing(now),
        training_missing=_missing(before),
        outside=_outside(now),
        new_categories=_share(now.n_new_category, sum(now.counts)),
        type_errors=_share(now.n_type_error, now.n),
        reasons=reasons,
        bars=_bars(before, now),
    )


def _inside(profile: FeatureProfile) -> Sequence[int]:
    """Counts with what is outside the range in the outermost bins: it has limits of its own, and a
    bin that was empty in training makes much of little.
    """
    if not isinstance(profile.bins, NumericBins):
        return profile.counts
    below, *inside, above = profile.counts
    inside[0] += below
    inside[-1] += above
    return inside


Finding = tuple[int, str]


def _grade(name: str, value: float, limits: tuple[float, float], by_chance: float) -> Finding:
    grade = sum(value > max(limit, by_chance) for limit in limits)
    return grade, f"{name} {value:.3f} is above {limits[max(grade - 1, 0)]:g}"


def _quality(before: FeatureProfile, now: FeatureProfile) -> Iterator[Finding]:
    missing, known = _missing(now), _missing(before)
    sure = _surely_more(missing, now.n, known, before.n)
    grade = sum(sure and missing - known > limit for limit in MISSING)
    yield grade, f"{share(missing)} are missing, {share(known)} in training"
    errors = _share(now.n_type_error, now.n)
    yield sum(errors > limit for limit in TYPE_ERRORS), f"{share(errors)} are of another type"
    if isinstance(now.bins, NumericBins):
        outside, extremes = _outside(now), BEYOND_EXTREMES / max(sum(before.counts), 1)
        grade = sum(outside > max(limit, extremes) for limit in OUTSIDE)
        bounds = f"{now.bins.low:.4g} to {now.bins.high:.4g}"
        yield grade, f"{share(outside)} are outside the training data's range {bounds}"
    elif isinstance(now.bins, CategoricalBins):
        new = _share(now.n_new_category, sum(now.counts))
        yield sum(new > limit for limit in NEW), f"{share(new)} are of categories new to the model"


def _surely_more(p: float, n: int, q: float, m: int) -> bool:
    """Whether a share is larger, by the test of two proportions."""
    pooled = (p * n + q * m) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return p - q > SURE_Z * error


def _missing(profile: FeatureProfile) -> float:
    return _share(profile.n_missing + profile.n_nan, profile.n)


def _outside(profile: FeatureProfile) -> float:
    return _share(profile.n_below + profile.n_above, sum(profile.counts))


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _bars(before: FeatureProfile, now: FeatureProfile) -> tuple[Bar, ...]:
    """Bins in which there is something; of many categories, the rest is one."""
    sides = sum(before.counts), sum(now.counts)
    bars = [
        Bar(label, _share(one, sides[0]), _share(other, sides[1]))
        for (label, one), other in zip(before.labelled_counts(), now.counts, strict=True)
        if one or other
    ]
    if len(bars) <= MOST_BARS:
        return tuple(bars)
    shown, rest = bars[: MOST_BARS - 1], bars[MOST_BARS - 1 :]
    others = Bar("others", sum(bar.training for bar in rest), sum(bar.job for bar in rest))
    return (*shown, others)
