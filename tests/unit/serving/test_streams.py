"""Streams against an executor that the tests hold in their hands: no sleeping, no clocks."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotReady,
    Overloaded,
)
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.metrics import VersionMetrics
from augurium.serving.plane import DataPlane
from augurium.serving.router import ModelRoutes, Router
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.streamed_version import StreamedVersion
from augurium.serving.version_forms import served_version
from tests.support.waiting import until_true

SIGNATURE = Signature(
    (TensorSpec("x", "INT64", (-1,)),), (TensorSpec("y", "INT64", (-1,)),), streamed=True
)
HANGS = -1
FAILS = -2


class CountingStream:
    """Counts to x; what is below zero says how the stream goes on after its first answer."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._given = 0
        self._stopped = threading.Event()
        self.takes = 0
        self.ended = False
        self.finished = False

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def take(self) -> list[list[Array]]:
        self.takes += 1
        if self._given and self._last == HANGS:
            self._stopped.wait(10)
        if self._given and self._last == FAILS:
            self.ended = True
            raise ModelFailed("as told")
        if self.stopped or 0 <= self._last <= self._given:
            self.ended = True
            return []
        self._given += 1
        return [[np.array([self._given])]]

    def stop(self) -> None:
        self._stopped.set()

    def finish(self) -> None:
        self.ended = self.finished = True


class CountingExecutor:
    """Opens streams and remembers them with the parameters they were asked for with."""

    threads: Executor | None = None
    restarts = 0

    def __init__(self, max_streams: int = 2) -> None:
        self.max_streams = max_streams
        self.streams: list[CountingStream] = []
        self.parameters: list[Mapping[str, Any]] = []

    def open_stream(self, inputs: Sequence[Array], parameters: Mapping[str, Any]) -> CountingStream:
        self.parameters.append(parameters)
        self.streams.append(CountingStream(int(inputs[0][0])))
        return self.streams[-1]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        raise ModelFailed("a stream is no run")

    def expected_s(self, rows: int) -> float:
        return 1.0

    def close(self) -> None: ...


class Streamed:
    """A plane with one streamed version."""

    def __init__(self, threads: ThreadPoolExecutor, executor: CountingExecutor, room: int) -> None:
        self.executor = executor
        self.metrics = VersionMetrics("m", 1)
        desired = DesiredVersion("m", 1, "python", "", "", SIGNATURE)
        loop = asyncio.get_running_loop()
        self.version = served_version(desired, executor, self.metrics, loop, threads)
        router: Router[Any] = Router()
        router.replace({"m": ModelRoutes({1: self.version}, {}, 1, {})})
        self.plane = DataPlane(router, room, 30.0, 600.0)

    def ask(self, x: int, timeout_s: float = 30.0, **fields: Any) -> InferenceRequest:
        values = np.array(x if isinstance(x, list) else [x])
        return InferenceRequest(
            ModelRef("m"), {"x": values}, time.monotonic() + timeout_s, **fields
        )

    async def all_of(self, x: int, **fields: Any) -> list[int]:
        return [value(answer) async for answer in self.plane.stream(self.ask(x, **fields))]


Make = Callable[..., Streamed]


def value(response: InferenceResponse) -> int:
    return int(response.answer.array(0)[0])


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    pool = ThreadPoolExecutor(4)
    yield lambda max_streams=2, room=10: Streamed(pool, CountingExecutor(max_streams), room)
    pool.shutdown()


async def test_answers_come_in_order_and_are_one_request(make: Make) -> None:
    streamed = make()
    assert await streamed.all_of(5) == [1, 2, 3, 4, 5]
    assert streamed.metrics.gathered().outcomes == {"ok": 1}
    assert (streamed.metrics.executions, streamed.metrics.rows) == (1, 1)
    assert streamed.metrics.gathered().request_s.count == 1


async def test_no_answer_at_all_is_a_success(make: Make) -> None:
    streamed = make()
    assert await streamed.all_of(0) == []
    assert streamed.metrics.gathered().outcomes == {"ok": 1}


async def test_nothing_is_read_that_was_not_asked_for(make: Make) -> None:
    streamed = make()
    async with aclosing(streamed.plane.stream(streamed.ask(1000))) as answers:
        await anext(answers)
        await asyncio.sleep(0.02)
        assert streamed.executor.streams[0].takes == 1


async def test_a_caller_that_leaves_stops_the_stream_and_is_counted(make: Make) -> None:
    streamed = make()
    answers = streamed.plane.stream(streamed.ask(1000))
    await anext(answers)
    await answers.aclose()
    (stream,) = streamed.executor.streams
    assert stream.stopped
    await until_true(lambda: stream.finished)
    assert streamed.metrics.gathered().outcomes == {"cancelled": 1}
    await streamed.version.drain()
    assert streamed.version.pending == 0


async def test_a_caller_that_leaves_while_it_waits_frees_the_thread(make: Make) -> None:
    streamed = make()

    async def read() -> None:
        await streamed.all_of(HANGS)

    reading = asyncio.create_task(read())
    await until_true(
        lambda: bool(streamed.executor.streams) and streamed.executor.streams[0].takes == 2
    )
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await streamed.version.drain()
    assert streamed.executor.streams[0].ended


async def test_a_stream_without_room_is_refused_and_there_is_room_after_one_ended(
    make: Make,
) -> None:
    streamed = make(max_streams=1)
    answers = streamed.plane.stream(streamed.ask(1000))
    await anext(answers)
    with pytest.raises(Overloaded, match=r"reads 1 streams of this version already"):
        await streamed.all_of(1)
    await answers.aclose()
    await streamed.version.drain()
    assert await streamed.all_of(1) == [1]
    assert streamed.metrics.gathered().outcomes == {"overloaded": 1, "cancelled": 1, "ok": 1}


async def test_streams_count_among_the_requests_in_flight(make: Make) -> None:
    streamed = make(room=1)
    async with aclosing(streamed.plane.stream(streamed.ask(1000))) as answers:
        await anext(answers)
        with pytest.raises(Overloaded, match="works on 1 requests already"):
            await streamed.all_of(1)


async def test_two_streams_go_on_at_once(make: Make) -> None:
    streamed = make()
    first = streamed.plane.stream(streamed.ask(2))
    second = streamed.plane.stream(streamed.ask(2))
    found = [value(await anext(stream)) for stream in (first, second, second, first)]
    assert found == [1, 1, 2, 2]
    await first.aclose()
    await second.aclose()


async def test_an_error_comes_after_the_answers_before_it(make: Make) -> None:
    streamed = make()
    answers = streamed.plane.stream(streamed.ask(FAILS))
    assert value(await anext(answers)) == 1
    with pytest.raises(ModelFailed, match="as told"):
        await anext(answers)
    assert streamed.metrics.gathered().outcomes == {"model_failed": 1}
    assert streamed.metrics.executions == 0
    assert streamed.version.pending == 0


async def test_a_deadline_ends_a_stream_that_waits(make: Make) -> None:
    streamed = make()
    answers = streamed.plane.stream(streamed.ask(HANGS, timeout_s=3))
    assert value(await anext(answers)) == 1
    with pytest.raises(DeadlineExceeded, match="Request timeout expired"):
        await anext(answers)
    assert streamed.metrics.gathered().outcomes == {"deadline_exceeded": 1}
    await streamed.version.drain()


async def test_a_deadline_ends_a_stream_whose_caller_takes_nothing(make: Make) -> None:
    streamed = make()
    answers = streamed.plane.stream(streamed.ask(1000, timeout_s=3))
    await anext(answers)
    await streamed.version.drain()
    assert streamed.executor.streams[0].finished
    with pytest.raises(DeadlineExceeded):
        await anext(answers)


async def test_drain_waits_for_streams(make: Make) -> None:
    streamed = make()
    answers = streamed.plane.stream(streamed.ask(2))
    await anext(answers)
    draining = asyncio.create_task(streamed.plane.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    assert [value(answer) async for answer in answers] == [2]
    await draining


async def test_infer_gives_the_only_answer(make: Make) -> None:
    streamed = make()
    assert value(await streamed.plane.infer(streamed.ask(1))) == 1


@pytest.mark.parametrize(("x", "words"), [(0, "no answer"), (2, "more than one answer")])
async def test_infer_refuses_what_is_not_one_answer(x: int, words: str, make: Make) -> None:
    streamed = make()
    with pytest.raises(
        InvalidArgument, match=f"has {words} .* generate_stream or ModelStreamInfer"
    ):
        await streamed.plane.infer(streamed.ask(x))
    await streamed.version.drain()
    assert streamed.executor.streams[0].ended
    assert streamed.metrics.gathered().outcomes == {"invalid_argument": 1}


async def test_what_does_not_fit_the_signature_is_refused_before_a_stream_opens(
    make: Make,
) -> None:
    streamed = make()
    request = streamed.ask(1)
    request.inputs = {"z": np.array([1])}
    with pytest.raises(InvalidArgument, match="'z'"):
        await anext(streamed.plane.stream(request))
    assert streamed.executor.streams == []


async def test_more_rows_than_a_batch_are_refused(make: Make) -> None:
    streamed = make()
    request = streamed.ask(1)
    request.inputs = {"x": np.arange(257)}
    with pytest.raises(InvalidArgument, match="must be <= 256, got 257"):
        await anext(streamed.plane.stream(request))


async def test_parameters_are_passed_on(make: Make) -> None:
    streamed = make()
    await streamed.all_of(1, parameters={"top": 3, "kind": "x", "greedy": True, "heat": 0.5})
    assert streamed.executor.parameters == [{"top": 3, "kind": "x", "greedy": True, "heat": 0.5}]


@pytest.mark.parametrize("wrong", [None, [[1]], [None], {"a": 1}, 2**64, [2**64], -(2**63) - 1])
async def test_parameters_that_cannot_be_passed_on_are_refused(wrong: Any, make: Make) -> None:
    streamed = make()
    with pytest.raises(InvalidArgument, match="parameter 'top'"):
        await streamed.all_of(1, parameters={"top": wrong})


async def test_a_stream_has_a_deadline_of_its_own(make: Make) -> None:
    streamed = make()
    now, model = time.monotonic(), ModelRef("m")
    assert streamed.plane.stream_deadline(model) - now == pytest.approx(600, abs=1)
    assert streamed.plane.stream_deadline(model, 5) - now == pytest.approx(5, abs=1)
    assert streamed.plane.stream_deadline(model, 5000) - now == pytest.approx(600, abs=1)
    assert streamed.plane.stream_deadline(ModelRef("n")) - now == pytest.approx(30, abs=1)


async def test_a_version_that_is_not_streamed_gives_one_answer_as_a_stream(make: Make) -> None:
    class Doubling(CountingExecutor):
        def run(self, inputs: Sequence[Array]) -> list[Array]:
            return [inputs[0] * 2]

    streamed = make()
    plain = Signature(SIGNATURE.inputs, SIGNATURE.outputs)
    desired = DesiredVersion("p", 1, "python", "", "", plain)
    loop = asyncio.get_running_loop()
    metrics = VersionMetrics("p", 1)
    with ThreadPoolExecutor(1) as threads:
        version = served_version(desired, Doubling(), metrics, loop, threads)
        assert not isinstance(version, StreamedVersion)
        router: Router[Any] = Router()
        router.replace({"m": ModelRoutes({1: version}, {}, 1, {})})
        answers = DataPlane(router, 10, 30.0).stream(streamed.ask(21))
        assert [value(answer) async for answer in answers] == [42]
    assert metrics.gathered().outcomes == {"ok": 1}


async def test_streams_that_outlast_a_stop_are_told_so(make: Make) -> None:
    streamed = make()
    waiting = streamed.plane.stream(streamed.ask(HANGS))
    idle = streamed.plane.stream(streamed.ask(1000))
    await anext(waiting)
    await anext(idle)
    next_one = asyncio.ensure_future(anext(waiting))
    await until_true(lambda: streamed.executor.streams[0].takes == 2)
    streamed.plane.cut_streams()
    for answer in (next_one, anext(idle)):
        with pytest.raises(NotReady, match="the server is stopping and ends the stream here"):
            await answer
    await streamed.plane.drain()
    await streamed.version.drain()
