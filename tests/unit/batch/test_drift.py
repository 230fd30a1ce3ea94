"""How far a job is from the training data: what is said of it, and what is taken for chance."""

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from augurium.batch.drift import LEAST_ROWS, NO_PROFILE, Drift, FeatureDrift, drift_of
from augurium.core.tensors import Array
from augurium.statistics.bins import FeatureBins
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile, profile_of
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values


def texts(*parts: tuple[str | None, int]) -> Values:
    found = [text for text, times in parts for _ in range(times)]
    content = np.empty(len(found), np.object_)
    content[:] = found
    return Values(content)


def numbers(content: Array, gaps: int = 0) -> Values:
    missing = np.zeros(len(content), bool)
    missing[:gaps] = True
    return Values(np.where(missing, np.nan, content), missing)


def bins_of(columns: Mapping[str, Values]) -> tuple[FeatureBins, ...]:
    features = [Feature(name, one.content.dtype == object) for name, one in columns.items()]
    finder = ReferenceBins(features)
    finder.observe(columns)
    return finder.bins()


def counted(
    columns: Mapping[str, Values], bins: tuple[FeatureBins, ...]
) -> dict[str, FeatureProfile]:
    profiler = Profiler(bins)
    profiler.update(columns)
    return {profile.bins.name: profile for profile in profiler.profiles()}


def trained(columns: Mapping[str, Values]) -> Profile:
    return profile_of(tuple(counted(columns, bins_of(columns)).values()))


def drift(before: Values, now: Values) -> FeatureDrift:
    training = trained({"x": before})
    bins = tuple(each.bins for each in training.features)
    (found,) = drift_of(training, counted({"x": now}, bins), {}).features
    return found


NORMAL = np.random.default_rng(1).normal(size=50_000)


def test_the_same_numbers_do_not_drift() -> None:
    found = drift(numbers(NORMAL), numbers(np.random.default_rng(2).normal(size=20_000)))
    assert (found.status, found.reasons) == ("ok", ())
    assert found.psi < found.psi_by_chance
    assert (found.rows, found.training_rows) == (20_000, 50_000)


@pytest.mark.parametrize(
    ("shift", "status", "measures"),
    [(0.05, "ok", []), (0.28, "warn", ["JS"]), (0.4, "warn", ["PSI", "JS"])],
)
def test_a_shift_is_graded_by_its_size(shift: float, status: str, measures: list[str]) -> None:
    now = np.random.default_rng(2).normal(size=20_000).clip(-3.5, 3.5) + shift
    found = drift(numbers(NORMAL), numbers(now))
    assert found.status == status
    assert [reason.split()[0] for reason in found.reasons] == measures


def test_few_values_are_no_evidence_whatever_they_are() -> None:
    few = np.full(LEAST_ROWS - 1, 9.0)
    found = drift(numbers(NORMAL), numbers(few))
    assert found.status == "insufficient_data"
    assert "999 values" in found.reasons[0]
    assert found.psi > 1


def test_missing_values_of_whom_there_were_none_are_an_alert() -> None:
    found = drift(numbers(NORMAL), numbers(NORMAL[:20_000], gaps=1200))
    assert (found.status, found.reasons) == ("alert", ("6 % are missing, 0 % in training",))
    assert found.missing == pytest.approx(0.06)


def test_as_many_missing_values_as_in_training_are_not_worth_a_word() -> None:
    found = drift(numbers(NORMAL, gaps=5000), numbers(NORMAL[:20_000], gaps=2100))
    assert found.status == "ok"


def test_numbers_outside_the_range_of_the_training_data_are_named_with_the_range() -> None:
    before = np.linspace(0, 1, 50_000)
    now = np.linspace(0, 1, 20_000)
    now[:300] = 1.5
    found = drift(numbers(before), numbers(now))
    assert found.status == "alert"
    assert found.reasons == ("1.5 % are outside the training data's range 0 to 1",)


def test_what_two_extremes_of_few_rows_leave_outside_is_chance() -> None:
    random = np.random.default_rng(7)
    found = drift(numbers(random.normal(size=1000)), numbers(random.normal(size=20_000)))
    # some are beyond what a thousand rows showed
    assert found.outside > 0.001
    assert found.status == "ok"


def test_categories_new_to_the_model_are_counted() -> None:
    before = texts(("a", 30_000), ("b", 20_000))
    found = drift(before, texts(("a", 6000), ("b", 3900), ("c", 100)))
    assert found.new_categories == pytest.approx(0.01)
    assert (found.status, found.reasons) == ("warn", ("1 % are of categories new to the model",))


def test_values_of_another_type_are_counted() -> None:
    content = np.empty(2000, np.object_)
    content[:] = [*NORMAL[:1990].tolist(), *["n/a"] * 10]
    found = drift(numbers(NORMAL), Values(content))
    assert found.status == "alert"
    assert "0.5 % are of another type" in found.reasons


def test_the_worst_come_first_and_are_counted() -> None:
    before = {name: numbers(NORMAL) for name in ("calm", "gaps", "moved", "unseen")}
    training = trained(before)
    bins = tuple(each.bins for each in training.features[:3])
    now = {
        "calm": numbers(NORMAL[:9000]),
        "gaps": numbers(NORMAL[:9000], gaps=200),
        "moved": numbers(NORMAL[:9000] + 1),
    }
    found = drift_of(training, counted(now, bins), {})
    assert [one.name for one in found.features] == ["moved", "gaps", "calm"]
    assert (found.alerts, found.warnings, found.note) == (1, 1, "")


def test_answers_are_held_against_the_answers_to_the_training_data() -> None:
    outputs = {"score": numbers(NORMAL)}
    known = tuple(counted(outputs, bins_of(outputs)).values())
    training = profile_of((), known)
    now = counted({"score": numbers(NORMAL[:5000] * 3)}, tuple(one.bins for one in known))
    (found,) = drift_of(training, {}, now).features
    assert (found.part, found.status) == ("output", "alert")


def test_bars_are_the_shares_of_both_and_of_many_categories_the_rest_is_one() -> None:
    found = drift(
        texts(*((f"c{number:02d}", 1000) for number in range(30))),
        texts(*((f"c{number:02d}", 500) for number in range(30))),
    )
    assert len(found.bars) == 16
    assert found.bars[-1].label == "others"
    assert sum(bar.training for bar in found.bars) == pytest.approx(1)
    assert sum(bar.job for bar in found.bars) == pytest.approx(1)


def test_without_a_profile_it_is_said_how_to_get_one() -> None:
    assert drift_of(None, {}, {}) == Drift(note=NO_PROFILE)
    assert "--data" in NO_PROFILE


def test_a_profile_of_other_columns_compares_nothing_and_says_so() -> None:
    assert "no feature" in drift_of(trained({"x": numbers(NORMAL)}), {}, {}).note


def test_drift_survives_json() -> None:
    found = Drift(features=(drift(numbers(NORMAL), numbers(NORMAL[:3000])),))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Drift) == found
