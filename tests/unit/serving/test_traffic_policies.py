"""Which of an engine's models have a policy to ask, and that it is compiled once."""

import msgspec

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRevision, Variant
from augurium.core.traffic_slots import rearranged
from augurium.serving.snapshot import DesiredModel, DesiredVersion
from augurium.serving.traffic_policies import TrafficPolicies
from augurium.traffic.compiled_policy import Asked

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))


def _model(*, versions: tuple[int, ...] = (1, 2), split: bool = True) -> DesiredModel:
    desired = tuple(DesiredVersion("m", number, "onnx", "f", "d", SIGNATURE) for number in versions)
    policy = TrafficPolicy((Variant(1, 40), Variant(2, 60))) if split else None
    slots = rearranged((), {"v1": 4000, "v2": 6000})
    traffic = TrafficRevision(revision=3, policy=policy, slots=slots)
    return DesiredModel("m", desired, 1, traffic=traffic)


def test_a_policy_is_compiled_with_its_places_and_the_name_of_its_model() -> None:
    policy = TrafficPolicies().of(_model())

    assert policy is not None
    units = [policy.choose(Asked({"augurium-unit": str(one)}.get)) for one in range(1000)]
    second = sum(one is not None and one.variant == "v2" for one in units)
    assert 550 <= second <= 650


def test_a_model_that_is_as_before_has_the_same_policy() -> None:
    policies, model = TrafficPolicies(), _model()

    first = policies.of(model)

    assert policies.of(model) is first
    assert policies.of(msgspec.structs.replace(model, default_version=2)) is not first


def test_without_a_policy_or_a_version_there_is_nothing_to_ask() -> None:
    policies = TrafficPolicies()
    policies.of(_model())

    assert policies.of(_model(split=False)) is None
    assert policies.of(_model(versions=())) is None
    assert policies.of(DesiredModel("m")) is None
