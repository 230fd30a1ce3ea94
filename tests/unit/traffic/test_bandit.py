"""Weights of a bandit follow what earns most, within their floor."""

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.experiment_design import Bandit, ExperimentMetric
from augurium.core.traffic_policy import TrafficPolicy, Variant, check_policy
from augurium.traffic.bandit import bandit_variants
from augurium.traffic.variant_sums import VariantSums
from tests.support.experiments import Seen, bought, design, sums, variant_sums

BANDIT = Bandit(floor=0.05)


def test_the_better_variant_gets_nearly_all_and_the_other_its_floor() -> None:
    found = bandit_variants(
        design(bandit=BANDIT), bought(np.random.default_rng(1), 20_000, 0.1, 0.15)
    )

    assert [one.weight for one in found] == pytest.approx([5, 95], abs=0.05)
    check_policy(TrafficPolicy(split=found))


def test_where_less_is_better_the_lower_one_gets_more() -> None:
    made = design(bandit=BANDIT, metrics=(ExperimentMetric("bought", direction="lower"),))

    found = bandit_variants(made, bought(np.random.default_rng(2), 20_000, 0.1, 0.15))

    assert found[0].weight > 90


def test_weights_stay_while_little_is_known() -> None:
    made = design(bandit=BANDIT)

    assert bandit_variants(made, bought(np.random.default_rng(3), 99, 0.1, 0.9)) == made.variants
    assert bandit_variants(made, sums(v1=VariantSums(), v2=VariantSums())) == made.variants


def test_a_reward_that_is_a_number_is_followed() -> None:
    rng, made = (
        np.random.default_rng(4),
        design(bandit=BANDIT, metrics=(ExperimentMetric("revenue", "continuous"),)),
    )

    def units(mean: float) -> VariantSums:
        return variant_sums(rng, 5000, {"revenue": Seen(rng.gamma(2, mean / 2, 5000))})

    found = bandit_variants(made, sums(v1=units(10), v2=units(11)))
    same = bandit_variants(made, sums(v1=units(10), v2=units(10)))

    assert found[1].weight > 90
    assert 5 <= same[0].weight <= 95


def test_weights_are_whole_slots_that_add_up() -> None:
    made = design(bandit=BANDIT, variants=(Variant(1, 33.34), Variant(2, 33.33), Variant(3, 33.33)))

    found = bandit_variants(made, bought(np.random.default_rng(5), 1000, 0.1, 0.1, 0.1))

    check_policy(TrafficPolicy(split=found))


def test_a_design_without_a_bandit_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="has no bandit"):
        bandit_variants(design(), bought(np.random.default_rng(6), 1000, 0.1, 0.1))
