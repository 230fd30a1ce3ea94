"""Which versions share a runner."""

from typing import Any

import msgspec
import pytest

from augurium.core.device_policy import DevicePolicy
from augurium.core.serving_policy import PlacementPolicy
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.placement import in_engine, is_shared, placement_of, version_key
from augurium.serving.snapshot import DesiredVersion

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1,)),), (TensorSpec("y", "FP32", (-1,)),))


def version(
    runtime: str, model: str = "m", options: dict[str, str] | None = None, **placement: Any
) -> DesiredVersion:
    return DesiredVersion(
        model,
        1,
        runtime,
        "file",
        "0" * 64,
        SIGNATURE,
        options or {},
        placement=PlacementPolicy(**placement),
    )


@pytest.mark.parametrize(
    "runtime", ["treelite", "xgboost", "lightgbm", "sklearn", "torch", "tensorflow", "keras"]
)
def test_versions_of_a_framework_share_a_runner_unless_one_wants_its_own(runtime: str) -> None:
    one, other = version(runtime, "one"), version(runtime, "other")
    assert placement_of(one) == placement_of(other)
    alone = placement_of(version(runtime, isolation="dedicated"))
    assert not alone.shared
    assert alone.name != placement_of(one).name


def test_onnx_runs_in_the_engines_unless_it_is_to_be_alone_or_on_a_device() -> None:
    plain = version("onnx", threads=2)
    assert in_engine(plain)
    assert not in_engine(version("onnx", isolation="dedicated"))
    assert not in_engine(msgspec.structs.replace(plain, device=DevicePolicy(name="cuda:0")))
    assert not in_engine(version("xgboost"))


def test_keras_is_tensorflow_and_nothing_else_is_another() -> None:
    names = {
        runtime: placement_of(version(runtime)).name
        for runtime in ("keras", "tensorflow", "torch", "xgboost", "treelite")
    }
    assert names["keras"] == names["tensorflow"]
    assert len(set(names.values())) == 4


@pytest.mark.parametrize(
    ("runtime", "options"), [("python", {}), ("sklearn", {"format": "pickle", "rows": "{}"})]
)
@pytest.mark.parametrize("isolation", [None, "shared", "dedicated"])
def test_what_runs_code_of_its_file_shares_nothing(
    runtime: str, options: dict[str, str], isolation: str | None
) -> None:
    assert not is_shared(version(runtime, options=options, isolation=isolation))


def test_those_that_differ_in_threads_or_cpus_do_not_share() -> None:
    places = [
        placement_of(version("xgboost", **placement))
        for placement in ({}, {"threads": 2}, {"cpus": "0-1"}, {"threads": 2, "cpus": "0-1"})
    ]
    assert len({place.name for place in places}) == 4
    assert (places[3].threads, places[3].cpus) == (2, (0, 1))


def test_the_same_said_in_other_words_is_the_same() -> None:
    plain = placement_of(version("xgboost", cpus="0-2"))
    assert placement_of(version("xgboost", threads=1, cpus="2,0,1")) == plain
    assert placement_of(version("xgboost", threads=0, cpus="0,1-2", isolation="shared")) == plain


def test_a_version_of_another_placement_is_told_apart() -> None:
    keys = {version_key(version("torch", threads=threads)) for threads in range(3)}
    assert len(keys) == 3
