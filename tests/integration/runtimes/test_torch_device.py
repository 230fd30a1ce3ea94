"""The path to a device, walked on the CPU: the same slots, buffers and recordings."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import BFLOAT16, Array
from augurium.runtimes.placement import Placement
from augurium.runtimes.runtime import DeviceModel, load
from augurium.runtimes.torch import BFLOAT16_OPTION, TorchModel
from augurium.runtimes.torch_device import TorchDeviceModel

MOST = 16
PLAIN = DevicePolicy()
# as if it could be recorded: on the CPU a recording is a call
RECORDED = DevicePolicy(compile="graphs")
SIZES = (1, 2, 3, 5, 8, 15, 16, 4, 1, 23, 7)

Save = Callable[..., Path]


class Mixed(torch.nn.Module):  # type: ignore[misc]
    """Something of every type, each row for itself."""

    def forward(self, x: Any, ids: Any, flag: Any, half: Any, brain: Any) -> dict[str, Any]:
        return {
            "sum": x.sum(1) + ids,
            "ids": ids * 3 - 1,
            "flag": flag & (x[:, 0] > 0),
            "half": half * 2,
            "brain": brain.reshape(-1, 1) + brain.reshape(-1, 1),
        }


class Stateless(torch.nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return torch.tanh(x) * torch.arange(x.shape[1])


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def make(module: Any, arguments: tuple[Any, ...], *, dynamic: bool = True) -> Path:
        rows = torch.export.Dim("rows", min=1, max=1024)
        shapes = tuple({0: rows} for _ in arguments) if dynamic else None
        program = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)
        path = tmp_path / "model.pt2"
        torch.export.save(program, str(path))
        return path

    return make


@pytest.fixture
def mixed(save: Save) -> Path:
    return save(
        Mixed(),
        (
            torch.randn(4, 3),
            torch.arange(4),
            torch.ones(4, dtype=torch.bool),
            torch.ones(4, 2, dtype=torch.float16),
            torch.ones(4, dtype=torch.bfloat16),
        ),
    )


def _rows(count: int) -> dict[str, Array]:
    numbers = np.random.default_rng(count)
    return {
        "x": numbers.normal(size=(count, 3)).astype(np.float32),
        "ids": numbers.integers(-(2**60), 2**60, count),
        "flag": numbers.integers(0, 2, count).astype(np.bool_),
        "half": numbers.normal(size=(count, 2)).astype(np.float16),
        "brain": numbers.normal(size=count).astype(BFLOAT16),
    }


def _model(path: Path, device: DevicePolicy, *, batched: bool = True) -> TorchDeviceModel:
    return TorchDeviceModel(path, BFLOAT16_OPTION, Placement(device, batched, MOST))


def _same(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("device", [PLAIN, RECORDED], ids=["plain", "recorded"])
def test_every_type_and_batch_size_comes_back_as_without_a_device(
    mixed: Path, device: DevicePolicy
) -> None:
    plain, staged = TorchModel(mixed, BFLOAT16_OPTION), _model(mixed, device)
    for count in SIZES:
        rows = _rows(count)
        _same(staged.run(rows), plain.run(rows))


@pytest.mark.parametrize("device", [PLAIN, RECORDED], ids=["plain", "recorded"])
def test_answers_stay_what_they_are_when_others_run_in_their_slot(
    mixed: Path, device: DevicePolicy
) -> None:
    plain, staged = TorchModel(mixed, BFLOAT16_OPTION), _model(mixed, device)
    batches = [_rows(count) for count in (1, 16, 3, 8, 2, 16, 5, 11) * 6]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(staged.run, batches))
    for rows, answer in zip(batches, answers, strict=True):
        _same(answer, plain.run(rows))


def test_outputs_come_in_the_order_that_was_asked_for(mixed: Path) -> None:
    ids, total = _model(mixed, RECORDED).run(_rows(3), ["ids", "sum"])
    assert [str(array.dtype) for array in (ids, total)] == ["int64", "float32"]


def test_a_version_from_before_bfloat16_answers_with_float32(mixed: Path) -> None:
    rows = _rows(3)
    staged = TorchDeviceModel(mixed, {}, Placement(RECORDED, True, MOST))
    _same(staged.run(rows), TorchModel(mixed, {}).run(rows))


def test_no_rows_are_an_answer_without_rows(mixed: Path) -> None:
    rows = {name: array[:0] for name, array in _rows(2).items()}
    assert [array.shape[0] for array in _model(mixed, RECORDED).run(rows)] == [0] * 5


def test_rows_that_depend_on_each_other_are_never_filled_up(save: Save) -> None:
    class Mean(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x - x.mean(0)

    path = save(Mean(), (torch.randn(4, 3),))
    rows = {"x": _rows(5)["x"]}
    _same(_model(path, RECORDED, batched=False).run(rows), TorchModel(path, {}).run(rows))


def test_a_shape_that_never_varies_is_taken_as_it_is(save: Save) -> None:
    path = save(Stateless(), (torch.randn(6, 3),), dynamic=False)
    rows = {"x": _rows(6)["x"]}
    _same(_model(path, RECORDED, batched=False).run(rows), TorchModel(path, {}).run(rows))


def test_more_shapes_than_are_recorded_are_answered_all_the_same(save: Save) -> None:
    class Total(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.sum(1)

    rows, columns = torch.export.Dim("rows", max=64), torch.export.Dim("columns", max=64)
    program = torch.export.export(
        Total(), (torch.randn(4, 5),), dynamic_shapes=({0: rows, 1: columns},)
    )
    path = save(Total(), (torch.randn(4, 5),))
    torch.export.save(program, str(path))
    staged = _model(path, RECORDED)
    for width in range(1, 40):
        x = np.ones((2, width), np.float32)
        assert staged.run({"x": x})[0].tolist() == [width, width]


def test_a_model_that_fails_says_why_and_answers_the_next(save: Save) -> None:
    class Pick(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return torch.eye(4)[x]

    staged = _model(save(Pick(), (torch.arange(4),)), RECORDED)
    for _ in range(3):
        with pytest.raises(ModelFailed, match=r"the model failed: .*out of"):
            staged.run({"x": np.array([1, 400])})
    assert staged.run({"x": np.array([2])})[0].tolist() == [[0, 0, 1, 0]]


def test_no_cuda_device_is_said_with_what_to_do(mixed: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ModelFailed, match=r"install one for CUDA|nvidia-smi"):
        _model(mixed, DevicePolicy(name="cuda:0"))


def test_the_loader_gives_a_device_what_goes_there_and_nothing_else(mixed: Path) -> None:
    options = BFLOAT16_OPTION
    assert isinstance(load("torch", mixed, options), TorchModel)
    assert isinstance(load("torch", mixed, options, placement=Placement()), TorchModel)
    assert isinstance(_model(mixed, PLAIN), DeviceModel)
    assert not isinstance(load("torch", mixed, options), DeviceModel)
    with pytest.raises(InvalidArgument, match="need a CUDA device"):
        load("torch", mixed, options, placement=Placement(RECORDED))
