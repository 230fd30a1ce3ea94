"""Requests of many rows and of one, side by side on one version."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import numpy as np
import pytest

from augurium.core.errors import DeadlineExceeded
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.bulk import BulkRequest
from augurium.serving.memory_budget import MemoryBudget, Residence, Resident
from augurium.serving.metrics import VersionMetrics
from augurium.serving.served_version import ServedVersion
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion

MODEL = ModelRef("double")
ROWS, BATCH = 24, 4
WAIT_S = 10.0


class Gated:
    """Doubles its rows: one at once, several when it is let go."""

    threads = None
    restarts = 0

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.most_rows = 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        if len(inputs[0]) > 1:
            self.entered.set()
            self.gate.wait(WAIT_S)
            self.most_rows = max(self.most_rows, len(inputs[0]))
        return [inputs[0] * 2]

    def expected_s(self, rows: int) -> float:
        return 0.0

    def close(self) -> None: ...


class Rows:
    """All of them in one block."""

    def blocks(self, _: Signature, _batch_rows: int) -> Iterator[dict[str, Array]]:
        yield {"x": np.arange(ROWS, dtype=np.float32).reshape(-1, 1)}


def version_of(executor: Gated, batch: int = BATCH) -> ServedVersion:
    x, y = (TensorSpec(name, "FP32", (-1, 1)) for name in "xy")
    desired = DesiredVersion(
        MODEL.name, 1, "onnx", "", "", Signature((x,), (y,)), batching=BatchingPolicy(batch)
    )
    loop = asyncio.get_running_loop()
    return ServedVersion(
        desired, executor, VersionMetrics("double", 1), loop, ThreadPoolExecutor(3)
    )


async def all_rows(version: ServedVersion) -> list[float]:
    request = BulkRequest(MODEL, Rows(), time.monotonic() + WAIT_S)
    async with aclosing(version.batches(request)) as answers:
        return [
            value
            for answer in [one async for one in answers]
            for value in answer.answer.flat_list(0)
        ]


async def test_a_single_row_does_not_wait_for_a_request_of_many() -> None:
    executor = Gated()
    version = version_of(executor)
    many = asyncio.create_task(all_rows(version))
    await asyncio.to_thread(executor.entered.wait, WAIT_S)

    row = {"x": np.full((1, 1), 21, np.float32)}
    one = await version.submit(InferenceRequest(MODEL, row, time.monotonic() + WAIT_S))
    assert one.flat_list(0) == [42.0]
    assert not many.done()

    executor.gate.set()
    assert await many == [2.0 * row for row in range(ROWS)]
    async with asyncio.timeout(WAIT_S):
        await version.drain()
    assert not version.pending


async def test_batches_of_many_grow_beyond_those_of_others_where_runs_are_short() -> None:
    executor = Gated()
    executor.gate.set()
    version = version_of(executor)
    for _ in range(20):
        assert await all_rows(version) == [2.0 * row for row in range(ROWS)]

    assert executor.most_rows > BATCH


async def test_a_version_of_one_row_at_a_time_never_gets_more() -> None:
    executor = Gated()
    executor.gate.set()
    version = version_of(executor, batch=1)
    for _ in range(5):
        assert await all_rows(version) == [2.0 * row for row in range(ROWS)]

    assert executor.most_rows == 0


async def test_rows_wait_until_their_version_is_in_memory_and_a_drain_for_them() -> None:
    executor, gate = Gated(), threading.Event()
    version = version_of(executor)
    budget = MemoryBudget(1000, ThreadPoolExecutor(1))

    def load() -> None:
        gate.wait(WAIT_S)

    resident = Resident("double", 1, load, executor.close)
    version.move_in(Residence(budget, resident))
    row = {"x": np.full((1, 1), 21, np.float32)}

    def ask(timeout_s: float) -> InferenceRequest:
        return InferenceRequest(MODEL, row, time.monotonic() + timeout_s)

    patient = asyncio.ensure_future(version.submit(ask(WAIT_S)))
    hasty = asyncio.ensure_future(version.submit(ask(0.01)))
    with pytest.raises(DeadlineExceeded):
        await hasty
    assert version.pending
    drained = asyncio.ensure_future(version.drain())
    await asyncio.sleep(0.01)
    assert not drained.done()
    gate.set()
    assert (await patient).flat_list(0) == [42.0]
    async with asyncio.timeout(WAIT_S):
        await drained
    assert not version.pending
