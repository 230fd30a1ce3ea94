"""Verdicts by scenario: what an experiment says, and when it may say it."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from augurium.core.experiment_design import (
    ERROR_GUARDRAIL,
    LATENCY_GUARDRAIL,
    Bandit,
    Covariate,
    ExperimentDesign,
    ExperimentMetric,
    MetricGuardrail,
)
from augurium.core.traffic_policy import Variant
from augurium.statistics.group_sequential import bounds
from augurium.statistics.guardrails import GuardrailState
from augurium.traffic.experiment_result import ExperimentVerdict, Outcome
from augurium.traffic.experiment_verdict import experiment_verdict
from augurium.traffic.variant_sums import ExperimentSums, VariantSums
from tests.support.experiments import (
    BOUGHT,
    DAY_S,
    START,
    Seen,
    bought,
    design,
    phase,
    quantile_sums,
    run,
    sums,
    variant_sums,
)

REVENUE = ExperimentMetric("revenue", "continuous")
P99 = ExperimentMetric("p99", "quantile", "latency", "lower", share=0.99)


def verdicts(
    made: ExperimentDesign, days: Sequence[tuple[float, ExperimentSums]]
) -> list[ExperimentVerdict]:
    """One after the other, as the loop asks."""
    found, remembered = [], run()
    for day, so_far in days:
        found.append(experiment_verdict(made, so_far, remembered, START + day * DAY_S))
        remembered = found[-1].run
    return found


def at_the_end(made: ExperimentDesign, so_far: ExperimentSums) -> ExperimentVerdict:
    return verdicts(made, [(7, so_far)])[0]


def test_two_variants_alike_do_not_differ() -> None:
    found = at_the_end(design(), bought(np.random.default_rng(1), 40_000, 0.1, 0.1))

    assert found.outcome is Outcome.NO_DIFFERENCE
    assert found.power is not None
    assert found.power > 0.99
    assert "No treatment differs from v1" in found.sentences[0]
    assert "would have been found with a probability of 80 %" in found.sentences[1]


def test_a_clear_win_ships_with_its_interval() -> None:
    found = at_the_end(design(), bought(np.random.default_rng(2), 40_000, 0.1, 0.11))

    assert (found.outcome, found.variant) == (Outcome.SHIP, "v2")
    (comparison,) = found.metrics[0].comparisons
    assert comparison.finding == "better"
    assert comparison.lift_interval is not None
    assert 0 < comparison.lift_interval[0] < 0.1 < comparison.lift_interval[1]
    assert found.sentences[0] == "v2 is better than v1."
    assert found.sentences[-1] == "Ship v2."


def test_a_win_before_a_week_waits_and_says_so() -> None:
    rng = np.random.default_rng(3)

    early, peek, late = verdicts(
        design(),
        [
            (3, bought(rng, 40_000, 0.1, 0.13)),
            (3.5, bought(rng, 42_000, 0.1, 0.13)),
            (7, bought(rng, 80_000, 0.1, 0.13)),
        ],
    )

    assert early.outcome is Outcome.RUNNING
    assert "v2 is better already" in early.sentences[1]
    assert (early.look, peek.look, late.look) == (1, None, 2)
    assert late.outcome is Outcome.SHIP


def test_an_experiment_of_two_days_ships_and_says_that_it_was_no_week() -> None:
    so_far = bought(np.random.default_rng(4), 40_000, 0.1, 0.12)

    found = verdicts(design(days=2), [(2, so_far)])[0]
    hours = verdicts(design(days=0.25), [(0.25, so_far)])[0]

    assert found.outcome is Outcome.SHIP
    assert any("for 2 days, less than a week" in sentence for sentence in found.sentences)
    assert any("for 6 hours, less than a week" in sentence for sentence in hours.sentences)


def test_a_win_that_has_turned_does_not_ship() -> None:
    rng = np.random.default_rng(5)

    found = verdicts(
        design(), [(3, bought(rng, 40_000, 0.1, 0.13)), (7, bought(rng, 400_000, 0.1, 0.1 - 1e-3))]
    )[-1]

    assert found.outcome is not Outcome.SHIP


def test_harm_ends_it_before_the_week_is_over() -> None:
    so_far = bought(np.random.default_rng(6), 40_000, 0.1, 0.08)

    found = verdicts(design(), [(2, so_far)])[0]

    assert found.outcome is Outcome.HARM
    assert found.sentences[0] == "v2 is worse than v1."
    assert found.sentences[-1] == "Keep v1."


def test_lower_is_better_where_the_metric_says_so() -> None:
    returned = ExperimentMetric("bought", direction="lower")

    found = at_the_end(
        design(metrics=(returned,)), bought(np.random.default_rng(7), 40_000, 0.1, 0.08)
    )

    assert found.outcome is Outcome.SHIP


def test_a_peek_shows_an_always_valid_interval_and_decides_nothing() -> None:
    rng = np.random.default_rng(8)

    found = verdicts(
        design(), [(1, bought(rng, 9000, 0.1, 0.1)), (1.2, bought(rng, 10_000, 0.1, 0.2))]
    )

    peek = found[-1]
    (comparison,) = peek.metrics[0].comparisons
    assert (peek.outcome, peek.look) == (Outcome.RUNNING, None)
    assert comparison.always_interval is not None
    assert comparison.always_interval[0] > 0
    assert comparison.interval is None
    assert comparison.always_p_value is not None
    assert comparison.always_p_value < 0.001
    assert "a peek decides nothing" in peek.sentences[-1]


def test_limits_are_hidden_while_too_few_units_converted() -> None:
    found = verdicts(design(), [(1, bought(np.random.default_rng(9), 500, 0.1, 0.1))])[0]

    assert found.metrics[0].comparisons[0].always_interval is None


def test_bounds_are_those_of_the_units_of_each_look_and_earlier_ones_stay() -> None:
    rng, made = np.random.default_rng(10), design(units=100_000)
    units = [15_000, 35_000, 60_000, 85_000]

    found = verdicts(made, [(day, bought(rng, n // 2, 0.1, 0.1)) for day, n in enumerate(units, 1)])

    assert [one.bound for one in found] == [pytest.approx(z) for z in bounds(units, 100_000)]


def test_the_last_look_spends_what_is_left_though_fewer_came() -> None:
    rng = np.random.default_rng(11)

    found = verdicts(
        design(), [(day, bought(rng, 1000 * min(day, 4), 0.1, 0.1)) for day in range(1, 8)]
    )[-1]

    assert found.over
    assert found.bound is not None
    assert 1.95 < found.bound < 2.2


def test_ending_early_takes_the_last_look() -> None:
    so_far = bought(np.random.default_rng(12), 40_000, 0.1, 0.11)

    found = experiment_verdict(design(), so_far, run(ended=True), START + 8 * DAY_S)

    assert (found.look, found.over, found.outcome) == (1, True, Outcome.SHIP)


def test_a_mismatch_of_units_makes_everything_invalid_for_good() -> None:
    rng, ones = np.random.default_rng(13), Seen(np.ones(52_000))

    broken = sums(
        v1=variant_sums(rng, 52_000, {"bought": ones}),
        v2=variant_sums(rng, 48_000, {"bought": Seen(np.zeros(48_000))}),
    )
    found = verdicts(design(), [(1, broken), (7, bought(rng, 60_000, 0.1, 0.12))])

    assert [one.outcome for one in found] == [Outcome.INVALID] * 2
    assert "v1 52000 instead of 50000" in found[0].sentences[0]


def test_too_few_units_for_the_effect_are_said_to_be() -> None:
    found = at_the_end(design(), bought(np.random.default_rng(14), 2000, 0.1, 0.1))

    assert found.outcome is Outcome.UNDERPOWERED
    assert "too few units" in found.sentences[0]
    assert "augurium rollout plan" in found.sentences[-1]


def test_an_experiment_that_nobody_met_is_underpowered() -> None:
    found = at_the_end(design(), sums(v1=VariantSums(), v2=VariantSums()))

    assert found.outcome is Outcome.UNDERPOWERED


def test_a_running_experiment_foresees_that_it_will_be_too_small() -> None:
    found = verdicts(design(), [(1, bought(np.random.default_rng(15), 500, 0.1, 0.1))])[0]

    assert found.power is not None
    assert found.power < 0.8
    assert any(sentence.startswith("As it goes") for sentence in found.sentences)


def test_one_of_several_treatments_ships_and_alpha_is_shared_by_all() -> None:
    rng = np.random.default_rng(16)
    made = design(variants=(Variant(1, 34), Variant(2, 33), Variant(3, 33)))
    each = bought(rng, 40_000, 0.1, 0.1, 0.112).phases[0].variants
    so_far = ExperimentSums((phase({"v1": 0.34, "v2": 0.33, "v3": 0.33}, each),))

    found = experiment_verdict(
        msgspec.structs.replace(made, mismatch_alpha=1e-9), so_far, run(), START + 7 * DAY_S
    )

    assert (found.outcome, found.variant) == (Outcome.SHIP, "v3")
    for comparison in found.metrics[0].comparisons:
        assert comparison.adjusted_p_value >= comparison.p_value
    assert found.bound == pytest.approx(2.2414, abs=1e-3)  # of 2.5 %


def test_primaries_are_corrected_by_holm_and_secondaries_by_themselves() -> None:
    rng, n = np.random.default_rng(17), 20_000
    metrics = tuple(ExperimentMetric(name) for name in ("one", "two", "three"))

    def units(rate: float) -> VariantSums:
        seen = {m.name: Seen(rng.binomial(1, rate, n).astype(float)) for m in metrics}
        return variant_sums(rng, n, seen)

    found = at_the_end(
        design(metrics=metrics, primary=("one", "two")), sums(v1=units(0.1), v2=units(0.101))
    )

    raw = {one.name: one.comparisons[0].p_value for one in found.metrics}
    adjusted = {one.name: one.comparisons[0].adjusted_p_value for one in found.metrics}
    assert [one.role for one in found.metrics] == ["primary", "primary", "secondary"]
    assert min(adjusted["one"], adjusted["two"]) == pytest.approx(
        min(1.0, 2 * min(raw["one"], raw["two"]))
    )
    assert adjusted["three"] == raw["three"]


def test_a_breached_guardrail_stops_at_a_peek() -> None:
    rng, n = np.random.default_rng(18), 20_000

    def units(rate: float) -> VariantSums:
        return variant_sums(
            rng,
            n,
            {
                "bought": Seen(rng.binomial(1, 0.1, n).astype(float)),
                "error_rate": Seen(rng.binomial(1, rate, n).astype(float)),
            },
        )

    made, so_far = design(guardrails=(ERROR_GUARDRAIL,)), sums(v1=units(0.01), v2=units(0.02))
    found = verdicts(made, [(0.1, so_far)])[0]
    told = verdicts(msgspec.structs.replace(made, on_breach="report"), [(0.1, so_far)])[0]

    assert (found.outcome, found.look) == (Outcome.STOPPED, None)
    assert found.guardrails[0].state is GuardrailState.BREACHED
    assert any("breaks the guardrail error_rate" in sentence for sentence in found.sentences)
    assert told.outcome is Outcome.RUNNING


def test_nothing_ships_that_breaks_a_guardrail_even_where_that_is_only_reported() -> None:
    rng, n = np.random.default_rng(19), 60_000

    def units(rate: float, failing: float) -> VariantSums:
        return variant_sums(
            rng,
            n,
            {
                "bought": Seen(rng.binomial(1, rate, n).astype(float)),
                "error_rate": Seen(rng.binomial(1, failing, n).astype(float)),
            },
        )

    found = at_the_end(
        design(guardrails=(ERROR_GUARDRAIL,), on_breach="report"),
        sums(v1=units(0.1, 0.01), v2=units(0.12, 0.02)),
    )

    assert found.outcome is Outcome.STOPPED


def test_a_slower_tail_breaks_the_latency_guardrail() -> None:
    rng, n = np.random.default_rng(20), 100_000

    def units(slower: float) -> VariantSums:
        latency = rng.lognormal(-3, 0.5, n) * slower
        return VariantSums(n, n, {"p99_latency": quantile_sums(rng, latency)})

    found = verdicts(
        design(guardrails=(LATENCY_GUARDRAIL,)), [(1, sums(v1=units(1.0), v2=units(1.3)))]
    )[0]

    (guardrail,) = found.guardrails
    assert guardrail.state is GuardrailState.BREACHED
    assert guardrail.harm == pytest.approx(0.3, abs=0.05)


def test_a_quantile_decides() -> None:
    rng, n = np.random.default_rng(21), 100_000

    def units(faster: float) -> VariantSums:
        return VariantSums(n, n, {"p99": quantile_sums(rng, rng.lognormal(-3, 0.5, n) * faster)})

    found = at_the_end(design(metrics=(P99,)), sums(v1=units(1.0), v2=units(0.9)))

    assert found.outcome is Outcome.SHIP
    assert found.metrics[0].variants[0].value == pytest.approx(np.exp(-3 + 2.326 * 0.5), rel=0.03)


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    rng, n = np.random.default_rng(22), 50_000
    basket = ExperimentMetric("basket", "ratio", feedback="revenue", denominator="orders")

    def units(price: float) -> VariantSums:
        orders = rng.poisson(0.5, n).astype(float)
        return variant_sums(rng, n, {"basket": Seen(orders * price, orders)})

    found = at_the_end(design(metrics=(basket,)), sums(v1=units(20.0), v2=units(20.0)))

    values = [one.value for one in found.metrics[0].variants]
    assert values == pytest.approx([20.0, 20.0])


def test_a_covariate_finds_what_is_hidden_without_it() -> None:
    rng, n = np.random.default_rng(23), 4000

    def units(more: float, known: bool) -> VariantSums:
        before = rng.normal(50, 20, n)
        after = before * 0.95 + rng.normal(more, 6, n)
        return variant_sums(rng, n, {"revenue": Seen(after, before=before if known else None)})

    covered = msgspec.structs.replace(REVENUE, covariate=Covariate())
    plain = at_the_end(design(metrics=(REVENUE,)), sums(v1=units(0, False), v2=units(0.6, False)))
    found = at_the_end(design(metrics=(covered,)), sums(v1=units(0, True), v2=units(0.6, True)))

    assert plain.outcome is not Outcome.SHIP
    assert found.outcome is Outcome.SHIP
    assert found.metrics[0].variance_ratio == pytest.approx(0.09, abs=0.02)


def test_phases_with_other_weights_are_not_thrown_together() -> None:
    """Simpson's paradox: v2 gets most units on the day when everyone buys."""
    rng = np.random.default_rng(24)

    def part(units: int, rate: float) -> VariantSums:
        return variant_sums(
            rng, units, {"bought": Seen(rng.binomial(1, rate, units).astype(float))}
        )

    so_far = ExperimentSums(
        (
            phase({"v1": 0.9, "v2": 0.1}, {"v1": part(90_000, 0.1), "v2": part(10_000, 0.1)}),
            phase({"v1": 0.5, "v2": 0.5}, {"v1": part(50_000, 0.3), "v2": part(50_000, 0.3)}),
        )
    )
    found = at_the_end(design(), so_far)

    assert found.outcome is Outcome.NO_DIFFERENCE
    assert [one.value for one in found.metrics[0].variants] == pytest.approx([0.2, 0.2], abs=0.005)
    assert not found.sample_ratio.mismatch
    assert any("2 phases" in sentence for sentence in found.sentences)


def test_a_phase_without_a_variant_compares_nothing() -> None:
    rng = np.random.default_rng(25)
    alone = variant_sums(rng, 5000, {"bought": Seen(np.ones(5000))})
    whole = bought(rng, 30_000, 0.1, 0.1).phases[0]

    found = at_the_end(design(), ExperimentSums((whole, phase({"v1": 1.0}, {"v1": alone}))))

    assert found.metrics[0].variants[0].value == pytest.approx(0.1, abs=0.01)


def test_a_bandit_compares_nothing_and_keeps_its_guardrails() -> None:
    so_far = bought(np.random.default_rng(26), 40_000, 0.1, 0.2)

    found = verdicts(
        design(bandit=Bandit(), guardrails=(MetricGuardrail(ExperimentMetric("kept"), 0.01),)),
        [(7, so_far)],
    )[0]

    assert (found.outcome, found.look) == (Outcome.RUNNING, None)
    assert found.metrics[0].comparisons == ()
    assert found.metrics[0].variants[1].value == pytest.approx(0.2, abs=0.01)
    assert "proves nothing" in found.sentences[0]


def test_a_verdict_comes_back_from_json_as_it_was() -> None:
    found = at_the_end(design(), bought(np.random.default_rng(27), 5000, 0.1, 0.11))

    assert msgspec.json.decode(msgspec.json.encode(found), type=ExperimentVerdict) == found


def test_units_that_met_two_variants_are_pointed_out() -> None:
    so_far = msgspec.structs.replace(
        bought(np.random.default_rng(28), 5000, 0.1, 0.1), mixed_units=800
    )

    found = verdicts(design(), [(1, so_far)])[0]

    assert any("800 units met two variants" in sentence for sentence in found.sentences)


def test_the_metric_that_decides_can_be_another_than_the_first() -> None:
    found = at_the_end(
        design(metrics=(REVENUE, BOUGHT), primary=("bought",)),
        bought(np.random.default_rng(29), 40_000, 0.1, 0.12),
    )

    assert found.outcome is Outcome.SHIP
    assert found.metrics[0].comparisons == ()
