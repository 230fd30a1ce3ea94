"""The path of ONNX Runtime to a device, walked with its CPU provider: bound and kept values."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from augurium.core.accelerators import MemoryAccelerators, Reading
from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import ModelFailed
from augurium.core.tensors import BFLOAT16, Array
from augurium.runtimes.onnx import OnnxModel
from augurium.runtimes.onnx_device import OnnxDeviceModel, Where, cuda_of, provider_options
from augurium.runtimes.placement import Placement

MOST = 16
HERE = Where(["CPUExecutionProvider"])
BOUND = DevicePolicy(name="cuda:0")
KEPT = DevicePolicy(name="cuda:0", compile="graphs")
SIZES = (1, 2, 3, 5, 8, 15, 16, 4, 1, 23, 7)
NUMBERS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x, int64[batch] ids, bool[batch] flag, float16[batch, 2] half)
  => (float[batch, 3] y, int64[batch] double, bool[batch] no, float16[batch, 2] two) {
  y = Tanh(x)
  double = Add(ids, ids)
  no = Not(flag)
  two = Add(half, half)
}
"""
TEXTS = """
<ir_version: 8, opset_import: ["" : 17]>
g (string[batch] x, float[batch] n) => (string[batch] y, float[batch] m) {
  y = Identity(x)
  m = Neg(n)
}
"""
BRAINS = """
<ir_version: 8, opset_import: ["" : 17]>
g (bfloat16[batch] x) => (bfloat16[batch] y) { y = Identity(x) }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def _model(path: Path, text: str, policy: DevicePolicy, *, batched: bool = True) -> OnnxDeviceModel:
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return OnnxDeviceModel(path, {}, None, Placement(policy, batched, MOST), HERE)


def _rows(count: int) -> dict[str, Array]:
    numbers = np.random.default_rng(count)
    return {
        "x": numbers.normal(size=(count, 3)).astype(np.float32),
        "ids": numbers.integers(-(2**60), 2**60, count),
        "flag": numbers.integers(0, 2, count).astype(np.bool_),
        "half": numbers.normal(size=(count, 2)).astype(np.float16),
    }


def _same(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize("policy", [BOUND, KEPT], ids=["bound", "kept"])
def test_every_type_and_batch_size_comes_back_as_without_a_device(
    path: Path, policy: DevicePolicy
) -> None:
    model = _model(path, NUMBERS, policy)
    plain = OnnxModel(path, {})
    for count in SIZES:
        _same(model.run(_rows(count)), plain.run(_rows(count)))


@pytest.mark.parametrize("policy", [BOUND, KEPT], ids=["bound", "kept"])
def test_answers_stay_what_they_are_when_others_run(path: Path, policy: DevicePolicy) -> None:
    model = _model(path, NUMBERS, policy)
    plain = OnnxModel(path, {})
    batches = [_rows(count) for count in (1, 16, 3, 8, 2, 16, 5, 11) * 6]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(model.run, batches))
    for rows, answer in zip(batches, answers, strict=True):
        _same(answer, plain.run(rows))


@pytest.mark.parametrize("policy", [BOUND, KEPT], ids=["bound", "kept"])
def test_texts_are_answered(path: Path, policy: DevicePolicy) -> None:
    model = _model(path, TEXTS, policy)
    for count in SIZES:
        rows = {
            "x": np.array([f"ä{row}" for row in range(count)], np.object_),
            "n": np.ones(count, np.float32),
        }
        texts, numbers = model.run(rows)
        assert texts.tolist() == rows["x"].tolist()
        assert numbers.tolist() == [-1.0] * count


@pytest.mark.parametrize("policy", [BOUND, KEPT], ids=["bound", "kept"])
def test_bfloat16_is_answered(path: Path, policy: DevicePolicy) -> None:
    model = _model(path, BRAINS, policy)
    for count in SIZES:
        x = np.arange(count).astype(BFLOAT16)
        (y,) = model.run({"x": x})
        assert y.dtype == BFLOAT16
        assert y.tobytes() == x.tobytes()


def test_outputs_come_in_the_order_that_was_asked_for(path: Path) -> None:
    for policy in (BOUND, KEPT):
        no, y = _model(path, NUMBERS, policy).run(_rows(3), ["no", "y"])
        assert [str(array.dtype) for array in (no, y)] == ["bool", "float32"]


def test_rows_that_depend_on_each_other_are_never_filled_up(path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n] x) => (float[1] y) { y = ReduceSum(x) }
    """
    model = _model(path, text, KEPT, batched=False)
    assert model.run({"x": np.array([1, 2, 3], np.float32)})[0].tolist() == [6]


def test_more_shapes_than_are_kept_are_answered_all_the_same(path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[batch, n] x) => (float[batch, n] y) { y = Neg(x) }
    """
    model = _model(path, text, KEPT)
    for width in range(1, 40):
        x = np.full((2, width), width, np.float32)
        assert model.run({"x": x})[0].tolist() == (-x).tolist()


def test_a_model_that_fails_says_why_and_answers_the_next(path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (int64[batch] x) => (float[batch] y)
      <float[3] table = {0, 1, 2}> { y = Gather(table, x) }
    """
    for policy in (BOUND, KEPT):
        model = _model(path, text, policy)
        for _ in range(3):
            with pytest.raises(ModelFailed, match="the model failed"):
                model.run({"x": np.array([1, 700])})
        assert model.run({"x": np.array([2])})[0].tolist() == [2]


def test_the_provider_is_told_the_device_and_its_limits() -> None:
    policy = DevicePolicy(name="cuda", memory_bytes=2**30, compile="graphs")
    told = provider_options(policy, 3)
    assert (told["device_id"], told["gpu_mem_limit"]) == ("3", str(2**30))
    assert told["enable_cuda_graph"] == "1"
    assert "gpu_mem_limit" not in provider_options(BOUND, 0)
    assert provider_options(BOUND, 0)["enable_cuda_graph"] == "0"


def test_an_onnx_runtime_without_cuda_says_what_to_install() -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is a provider for CUDA here")
    with pytest.raises(ModelFailed, match="pip install 'onnxruntime-gpu"):
        cuda_of(BOUND, MemoryAccelerators(Reading(0, "a", "GPU-a", 10, 0)))
