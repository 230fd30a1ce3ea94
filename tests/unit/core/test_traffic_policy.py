"""Policies that cannot be meant are refused, with what to do."""

import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, Variant, check_policy

WHOLE = (Variant(3, 100),)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (TrafficPolicy(), "needs a split or a rule"),
        (TrafficPolicy(split=(Variant(3, 60), Variant(4, 30))), "add up to 90 %"),
        (TrafficPolicy(split=(Variant(3, 99.995), Variant(4, 0.005))), "finer than 0.01 %"),
        (TrafficPolicy(split=(Variant(3, 50), Variant(3, 50))), "'v3' is there 2 times"),
        (TrafficPolicy(split=(Variant(3, 100, name="a b"),)), "variant name 'a b'"),
        (TrafficPolicy(split=WHOLE, unit="x-user"), "expected header:NAME or feature:NAME or requ"),
        (TrafficPolicy(split=WHOLE, unit="header:"), "expected header:NAME"),
        (TrafficPolicy(rules=(TrafficRule("request", 4, values=("a",)),)), "rule 1: source"),
        (TrafficPolicy(rules=(TrafficRule("header:a", 4),)), "needs either values, or"),
        (
            TrafficPolicy(rules=(TrafficRule("header:a", 4, values=("b",), least=1),)),
            "needs either values, or",
        ),
        (
            TrafficPolicy(rules=(TrafficRule("header:a", 4, least=2, most=1),)),
            "least 2 is above most 1",
        ),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(policy: TrafficPolicy, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_policy(policy)


@pytest.mark.parametrize(
    "policy",
    [
        TrafficPolicy(split=(Variant(3, 99.9), Variant(4, 0.1))),
        TrafficPolicy(split=tuple(Variant(n, w) for n, w in enumerate((33.33, 33.33, 33.34), 1))),
        TrafficPolicy(split=(Variant(3, 50, name="a"), Variant(3, 50, name="b"))),
        TrafficPolicy(split=WHOLE, unit="request"),
        TrafficPolicy(rules=(TrafficRule("feature:age", 4, least=18),)),
    ],
)
def test_a_policy_that_can_be_meant_is_taken(policy: TrafficPolicy) -> None:
    check_policy(policy)


def test_a_policy_names_every_version_it_may_send_requests_to() -> None:
    policy = TrafficPolicy(split=WHOLE, rules=(TrafficRule("header:a", 7, values=("b",)),))

    assert policy.versions == (3, 7)
