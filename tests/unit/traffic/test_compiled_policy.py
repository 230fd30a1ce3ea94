"""What a compiled policy chooses: rules first, then the split by unit."""

from typing import Any

import numpy as np
import pytest

from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, Variant
from augurium.core.traffic_slots import rearranged
from augurium.traffic.compiled_policy import Asked, Choice, CompiledPolicy
from augurium.traffic.first_row import Inputs

OUTPUTS = (TensorSpec("score", "FP32", (-1,)),)
COLUMNS = Signature((TensorSpec("x", "FP32", (-1, 2), features=("age", "amount")),), OUTPUTS)
NAMED = Signature(
    (TensorSpec("age", "FP32", (-1, 1)), TensorSpec("country", "BYTES", (-1, 1))), OUTPUTS
)
HALVES = (Variant(3, 50), Variant(4, 50, name="challenger"))


def _policy(signature: Signature = COLUMNS, **fields: Any) -> CompiledPolicy:
    policy = TrafficPolicy(**fields)
    slots = rearranged((), {one.label: one.slots for one in policy.split})
    return CompiledPolicy("fraud", policy, slots, signature)


def _asked(inputs: Inputs | None = None, request_id: str = "", **headers: str) -> Asked:
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked(known.get, inputs, request_id)


def test_a_unit_has_one_variant_whatever_else_its_requests_say() -> None:
    policy = _policy(split=HALVES)

    found = {
        policy.choose(_asked(request_id=str(number), augurium_unit="ada")) for number in range(50)
    }

    assert len(found) == 1


def test_both_variants_are_chosen_with_their_versions_and_names() -> None:
    policy = _policy(split=HALVES)

    found = [policy.choose(_asked(augurium_unit=str(number))) for number in range(50)]

    assert {one and (one.version, one.variant) for one in found} == {(3, "v3"), (4, "challenger")}
    assert [one and one.unit for one in found] == [str(number) for number in range(50)]


def test_requests_without_a_unit_are_shared_out_as_well() -> None:
    policy = _policy(split=HALVES)

    found = [policy.choose(_asked()) or Choice(0, "") for _ in range(100)]

    assert {one.version for one in found} == {3, 4}
    assert len({one.unit for one in found}) == 100


def test_the_header_of_another_name_can_be_the_unit() -> None:
    policy = _policy(split=HALVES, unit="header:X-User")

    assert len({policy.choose(_asked(x_user="ada")) for _ in range(50)}) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        Instances([{"age": 0.1, "amount": 7}, {"age": 9, "amount": 7}]),
        Instances([[0.1, 7]]),
        {"x": np.array([[0.1, 7.0], [9.0, 7.0]], np.float32)},
        {"age": np.array([0.1, 9.0]).astype(np.float32), "amount": np.array([7, 7])},
    ],
)
def test_a_feature_of_the_first_row_is_the_same_unit_in_every_form(inputs: Inputs) -> None:
    policy = _policy(unit="feature:age", split=HALVES)

    expected = _policy(split=HALVES).choose(_asked(augurium_unit=repr(float(np.float32(0.1)))))

    assert {policy.choose(_asked(inputs)) for _ in range(20)} == {expected}


def test_a_text_feature_is_the_same_as_bytes_and_as_text() -> None:
    policy = _policy(NAMED, rules=(TrafficRule("feature:country", 4, values=("DE",)),))
    tensors: Inputs = {
        "age": np.array([[1.0]], np.float32),
        "country": np.array([[b"DE"]], dtype=object),
    }

    assert policy.choose(_asked(tensors)) == Choice(4, "v4")
    assert policy.choose(_asked(Instances([[1.0, "DE"]]))) == Choice(4, "v4")
    assert policy.choose(_asked(Instances([[1.0, "FR"]]))) is None


def test_the_first_rule_that_applies_decides_before_the_split() -> None:
    policy = _policy(
        split=(Variant(3, 100),),
        rules=(
            TrafficRule("header:x-country", 4, values=("DE", "FR")),
            TrafficRule("header:x-country", 5, values=("DE", "US")),
        ),
    )

    assert policy.choose(_asked(x_country="DE")) == Choice(4, "v4")
    assert policy.choose(_asked(x_country="US")) == Choice(5, "v5")
    assert policy.choose(_asked(x_country="IT", augurium_unit="ada")) == Choice(3, "v3", "ada")


@pytest.mark.parametrize(
    ("age", "applies"), [(17.5, False), (18, True), (65, True), (65.5, False), (None, False)]
)
def test_a_range_holds_with_both_its_ends(age: float | None, applies: bool) -> None:
    policy = _policy(rules=(TrafficRule("feature:age", 4, least=18, most=65),))

    found = policy.choose(_asked(Instances([{"age": age, "amount": 1}])))

    assert (found is not None) == applies


def test_a_header_that_is_no_number_is_in_no_range() -> None:
    policy = _policy(rules=(TrafficRule("header:x-age", 4, least=18),))

    assert policy.choose(_asked(x_age="old")) is None
    assert policy.choose(_asked(x_age="18")) == Choice(4, "v4")


def test_rows_that_the_model_does_not_take_are_left_to_the_version_to_refuse() -> None:
    policy = _policy(unit="feature:age", split=HALVES)

    for inputs in (Instances([]), Instances([3]), {}, {"x": np.zeros((0, 2), np.float32)}):
        assert policy.choose(_asked(inputs)) is not None


def test_numbers_beyond_the_type_of_the_feature_are_missing_or_endless() -> None:
    policy = _policy(rules=(TrafficRule("feature:age", 4, least=18),))

    assert policy.choose(_asked(Instances([[10**400, 1]]))) is None
    assert policy.choose(_asked(Instances([[1e300, 1]]))) == Choice(4, "v4")
