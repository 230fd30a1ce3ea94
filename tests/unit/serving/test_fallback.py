"""Fallbacks between real models: one that fails for some rows, and one that never does."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnx.helper as oh
import pytest

from augurium.core.errors import InvalidArgument, ModelFailed, NotReady, Overloaded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.priority import Priority
from augurium.core.serving_policy import (
    BreakerPolicy,
    ConstantStep,
    FallbackPolicy,
    ModelStep,
    OverloadPolicy,
    ServingPolicy,
)
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.counter_reports import CounterReports, updated
from augurium.serving.metrics import EngineMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.snapshot import BatchingPolicy
from tests.support.models import graph, picky_model
from tests.support.planes import plane_of
from tests.support.waiting import until_true

SIGNATURE = Signature(
    (TensorSpec("place", "INT64", (-1, 1)),), (TensorSpec("found", "FP32", (-1, 1)),)
)
PICKY, SURE = ModelRef("picky"), ModelRef("sure")
BAD = 99
UNLIMITED = OverloadPolicy()


def sure_model() -> bytes:
    """Gives its input back as a float."""
    return graph(
        [oh.make_node("Cast", ["place"], ["found"], to=onnx.TensorProto.FLOAT)],
        [oh.make_tensor_value_info("place", onnx.TensorProto.INT64, ["batch", 1])],
        [oh.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["batch", 1])],
    )


class House:
    """A plane of both models, and a policy for the picky one."""

    def __init__(self, folder: Path) -> None:
        for name, content in (("picky", picky_model()), ("sure", sure_model())):
            (folder / f"{name}.onnx").write_bytes(content)
        models = {name: (folder / f"{name}.onnx", SIGNATURE) for name in ("picky", "sure")}
        self.plane: DataPlane = plane_of(models, BatchingPolicy(max_batch_size=8))
        self.picky, self.sure = self.plane.version(PICKY), self.plane.version(SURE)

    def serve(self, *steps: Any, overload: OverloadPolicy = UNLIMITED, **said: Any) -> None:
        fallback = FallbackPolicy(steps=steps, **said)
        policy = ServingPolicy(overload=overload, fallback=fallback)
        self.picky.take_policy(policy, self.plane.version)

    async def ask(self, *places: int, model: ModelRef = PICKY) -> InferenceResponse:
        inputs = {"place": np.array(places, np.int64).reshape(-1, 1)}
        return await self.plane.infer(InferenceRequest(model, inputs, self.plane.deadline(5)))


def told(response: InferenceResponse) -> tuple[list[float], str, str]:
    return response.answer.flat_list(0), response.degraded, response.step


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_rows_that_break_a_model_are_answered_by_another(house: House) -> None:
    house.serve(ModelStep("sure"))
    assert told(await house.ask(3)) == ([30.0], "", "")
    found = await house.ask(3, BAD)
    assert told(found) == ([3.0, 99.0], "error", "model:sure")
    assert (found.model, found.version) == ("sure", 1)
    assert house.picky.metrics.gathered().outcomes == {"ok": 1, "model_failed": 1}
    assert house.picky.metrics.degraded == {"error": {"model:sure": 1}}
    assert house.sure.metrics.gathered().outcomes == {"ok": 1}


async def test_a_fault_of_ours_is_a_failure_too(house: House) -> None:
    house.serve(ConstantStep({"found": 0.5}))

    def broken(_request: InferenceRequest) -> Any:
        raise ZeroDivisionError

    house.picky.submit = broken  # type: ignore[method-assign, assignment]
    assert told(await house.ask(3, 4)) == ([0.5, 0.5], "error", "constant")
    assert house.picky.metrics.gathered().outcomes == {"internal": 1}


async def test_a_caller_that_leaves_is_not_a_failure(house: House) -> None:
    house.serve(ModelStep("sure"), breaker=BreakerPolicy(least_requests=1))
    waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    house.picky.submit = lambda _request: waiting  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(house.ask(3))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.picky.metrics.gathered().outcomes == {"cancelled": 1}
    assert house.picky.metrics.degraded == {}
    assert house.picky.guard is not None
    assert not house.picky.guard.is_open


async def test_mistakes_are_told_also_while_the_circuit_is_open(house: House) -> None:
    house.serve(ConstantStep({"found": 0.5}), breaker=BreakerPolicy(least_requests=1))
    await house.ask(BAD)
    assert told(await house.ask(3))[1:] == ("breaker", "constant")
    with pytest.raises(InvalidArgument):
        await house.plane.infer(InferenceRequest(PICKY, {}, house.plane.deadline()))
    with pytest.raises(NotReady, match="fails too often"):
        await house.ask(*range(9))


async def test_an_unchanged_policy_keeps_what_was_learnt(house: House) -> None:
    steps = ConstantStep({"found": 0.5})
    for _ in range(2):
        house.serve(steps, breaker=BreakerPolicy(least_requests=1))
        await house.ask(BAD)
    assert told(await house.ask(3))[1] == "breaker"
    house.serve(steps, breaker=BreakerPolicy(least_requests=2))
    assert told(await house.ask(3))[1] == ""


async def test_only_so_many_are_answered_by_another_model_at_a_time(house: House) -> None:
    house.serve(ModelStep("sure"), ConstantStep({"found": 0.5}), max_concurrency=2)
    found = await asyncio.gather(*(house.ask(BAD) for _ in range(5)))
    steps = sorted(response.step for response in found)
    assert steps == ["constant"] * 3 + ["model:sure"] * 2
    assert house.picky.metrics.fallback_skipped == {"model:sure": {"busy": 3}}


async def test_steps_that_cannot_answer_are_skipped_and_counted(house: House) -> None:
    house.serve(ModelStep("gone"), ModelStep("picky"), ConstantStep({"other": 1.0}))
    with pytest.raises(ModelFailed):
        await house.ask(BAD)
    assert house.picky.metrics.fallback_skipped == {
        "model:gone": {"gone": 1},
        "model:picky": {"itself": 1},
        "constant": {"absent": 1},
    }


async def test_a_model_that_has_become_another_is_not_asked(house: House, tmp_path: Path) -> None:
    unlike = Signature(SIGNATURE.inputs, (TensorSpec("else", "FP32", (-1, 1)),))
    other = plane_of({"sure": (tmp_path / "sure.onnx", unlike)}, BatchingPolicy()).version(SURE)
    found = {"now": house.sure}
    policy = ServingPolicy(fallback=FallbackPolicy(steps=(ModelStep("sure"),)))
    house.picky.take_policy(policy, lambda _ref: found["now"])
    assert told(await house.ask(BAD))[1] == "error"
    found["now"] = other
    with pytest.raises(ModelFailed):
        await house.ask(BAD)
    assert house.picky.metrics.fallback_skipped == {"model:sure": {"unlike": 1}}


async def test_an_overload_has_a_fallback_and_opens_no_circuit(house: House) -> None:
    house.serve(
        ConstantStep({"found": 0.5}),
        overload=OverloadPolicy(max_concurrency=1),
        breaker=BreakerPolicy(least_requests=1),
    )
    found = await asyncio.gather(*(house.ask(3) for _ in range(3)))
    assert sorted(response.degraded for response in found) == ["", "overload", "overload"]
    assert house.picky.metrics.refused == {"concurrency": {"normal": 2}}
    assert told(await house.ask(4)) == ([40.0], "", "")


async def test_a_limit_alone_refuses(house: House) -> None:
    house.serve(overload=OverloadPolicy(max_concurrency=1))
    found = await asyncio.gather(*(house.ask(3) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, Overloaded) for one in found) == 2
    house.serve()
    assert house.picky.guard is None


async def test_trials_come_after_the_answer_one_at_a_time(house: House) -> None:
    house.serve(ModelStep("sure"), exercise_fraction=1.0)
    asked: list[InferenceRequest] = []
    waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    own: Callable[..., Any] = house.sure.submit

    def submit(request: InferenceRequest) -> Any:
        asked.append(request)
        return waiting if len(asked) == 1 else own(request)

    house.sure.submit = submit  # type: ignore[method-assign]
    for _ in range(3):
        assert told(await house.ask(3)) == ([30.0], "", "")
        await asyncio.sleep(0)
    assert [request.priority for request in asked] == [Priority.BATCH]
    counted = house.picky.metrics.fallback_exercised
    waiting.set_exception(ModelFailed("no"))
    await until_true(lambda: counted == {"model:sure": {"failed": 1}})
    await house.ask(4)
    await until_true(lambda: counted == {"model:sure": {"failed": 1, "ok": 1}})
    assert house.picky.metrics.degraded == {}


async def test_whatever_is_counted_on_the_way_is_reported(house: House) -> None:
    reports, known = CounterReports(), EngineMetrics()
    house.serve(
        ModelStep("sure"),
        overload=OverloadPolicy(max_concurrency=1),
        exercise_fraction=1.0,
        breaker=BreakerPolicy(least_requests=1),
    )
    steps = [(3,), (3, 4), (BAD,), (3,), (BAD, 3), (5,)]
    for places in steps:
        await asyncio.gather(*(house.ask(*places) for _ in range(2)), return_exceptions=True)
        await asyncio.sleep(0.01)
        everything = EngineMetrics(
            [version.metrics.gathered() for version in (house.picky, house.sure)]
        )
        sent = msgspec.msgpack.encode(reports.of(everything))
        known = updated(known, msgspec.msgpack.decode(sent, type=EngineMetrics))
        assert known == everything
        assert reports.of(everything).versions == []
