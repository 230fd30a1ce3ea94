from typing import Any

import msgspec
import pytest

from augurium.core.device_policy import CPU, DevicePolicy, refusal
from augurium.core.serving_policy import ServingPolicy


def _read(**fields: Any) -> DevicePolicy:
    return msgspec.convert(fields, DevicePolicy)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_have_the_names_that_pytorch_gives_them(name: str) -> None:
    assert _read(name=name).name == name


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:01", "CUDA:0", "cpu:0"])
def test_anything_else_is_no_device(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        _read(name=name)


def test_a_number_is_known_where_it_was_given() -> None:
    assert _read(name="cuda:3").number == 3
    assert _read(name="cuda").number is None
    assert CPU.number is None


def test_a_policy_without_a_device_is_written_as_before() -> None:
    assert msgspec.json.encode(ServingPolicy()) == b"{}"


@pytest.mark.parametrize(
    ("policy", "runtime", "said"),
    [
        ({"name": "cuda:0"}, "xgboost", "runs on the CPU only"),
        ({"name": "cuda"}, "python", "runs on the CPU only"),
        ({"compile": "graphs"}, "torch", "need a CUDA device"),
        ({"memory_bytes": 5}, "torch", "need a CUDA device"),
        ({"name": "cuda:0", "compile": "inductor"}, "onnx", "is torch.compile"),
        ({"compile": "inductor"}, "onnx", "use 'off'"),
    ],
)
def test_what_a_runtime_cannot_do_is_refused_with_what_to_do(
    policy: dict[str, Any], runtime: str, said: str
) -> None:
    assert said in refusal(_read(**policy), runtime)


@pytest.mark.parametrize(
    ("policy", "runtime"),
    [
        ({}, "xgboost"),
        ({"name": "cuda:1", "compile": "inductor_graphs", "memory_bytes": 5}, "torch"),
        ({"name": "cuda", "compile": "graphs"}, "onnx"),
        ({"compile": "inductor"}, "torch"),
    ],
)
def test_what_a_runtime_can_do_is_taken(policy: dict[str, Any], runtime: str) -> None:
    assert refusal(_read(**policy), runtime) == ""
