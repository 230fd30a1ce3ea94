"""Many runs under way in a real runner, from an event loop: put together, taken apart, lost and
found again.
"""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.home import NodeConfig, short_socket_path
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.executor import AsyncExecutor, ExitCounter, RunLost
from augurium.serving.loading import Loader
from augurium.serving.snapshot import BatchingPolicy
from tests.integration.serving.conftest import LoadVersion, Want, until

Runners = Callable[[], list[int]]
LeftANote = Callable[[str], bool]
WIDE = Signature(
    (TensorSpec("x", "FP64", (-1, 1000)),),
    (TensorSpec("y", "FP64", (-1, 1000)),),
)


def numbers(*values: float) -> list[np.ndarray[Any, Any]]:
    return [np.array(values, np.float64)]


async def ask(version: Any, inputs: list[Any], deadline: float = 1e12, **parameters: Any) -> Any:
    """One run, as a batcher begins it."""
    assert isinstance(version, AsyncExecutor)
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(found: list[Any] | Exception) -> None:
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)

    version.begin(inputs, parameters, deadline, done)
    return await future


def patient(config: NodeConfig) -> NodeConfig:
    """A run may take a minute, and the runner may be silent for as long."""
    limits = msgspec.structs.replace(config.settings.limits, request_timeout_s=60.0)
    changed = msgspec.structs.replace(config.settings, limits=limits)
    return with_settings(msgspec.structs.replace(config, settings=changed), liveness_s=60.0)


def with_settings(config: NodeConfig, **settings: Any) -> NodeConfig:
    runners = msgspec.structs.replace(config.settings.runners, **settings)
    changed = msgspec.structs.replace(config.settings, runners=runners)
    return msgspec.structs.replace(config, settings=changed)


def counted(version: Any) -> dict[str, int]:
    """Where the ends of its runner are counted."""
    exits: dict[str, int] = {}
    assert isinstance(version, ExitCounter)
    version.count_exits_in(exits)
    return exits


def twice(inputs: Any) -> Any:
    return inputs["x"] * 2


def rows_together(inputs: Any) -> Any:
    """How many rows its run had; a 13 or more leaves a note and takes long, a 666 fails."""
    import time
    from pathlib import Path

    values = inputs["x"]
    if (values == 666).any():
        raise ValueError("poison")
    if (values >= 13).any():
        Path("begun").touch()
        time.sleep(2 if (values == 13).any() else 20)
    return np.full(len(values), float(len(values)))


async def test_many_runs_under_way_get_their_own_answers(
    want: Want, load_version: LoadVersion
) -> None:
    version = load_version(want(twice))
    found = await asyncio.gather(*(ask(version, numbers(i, i + 1)) for i in range(300)))
    assert [answer[0].tolist() for answer in found] == [[2 * i, 2 * i + 2] for i in range(300)]


async def test_what_engines_send_while_a_run_is_under_way_runs_together(
    want: Want, load_version: LoadVersion, left_a_note: LeftANote
) -> None:
    # so long after the first of two another run may start beside the slow one
    desired = want(rows_together, batching=BatchingPolicy(max_queue_delay_ms=10_000))
    first, second = load_version(desired), load_version(desired)
    # both are connected now
    await asyncio.gather(ask(first, numbers(1)), ask(second, numbers(1)))
    slow = asyncio.ensure_future(ask(first, numbers(13)))
    assert await asyncio.to_thread(until, lambda: left_a_note("begun"))
    others = [ask(first, numbers(1)), ask(second, numbers(2, 3))]
    answers = await asyncio.gather(*others)
    assert [answer[0].tolist() for answer in answers] == [[3.0], [3.0, 3.0]]
    assert (await slow)[0].tolist() == [1.0]


async def test_a_poisoned_batch_fails_alone(
    want: Want, load_version: LoadVersion, left_a_note: LeftANote
) -> None:
    version = load_version(want(rows_together))
    slow = asyncio.ensure_future(ask(version, numbers(13)))
    assert await asyncio.to_thread(until, lambda: left_a_note("begun"))
    batches = [ask(version, numbers(value)) for value in (1, 666, 2)]
    found: list[Any] = await asyncio.gather(*batches, return_exceptions=True)
    good, bad, other = found
    assert isinstance(bad, ModelFailed)
    assert "poison" in str(bad)
    assert good[0].shape == other[0].shape == (1,)
    await slow


@pytest.mark.parametrize("rows", [1, 4, 5, 100, 2000])
@pytest.mark.parametrize("shared_bytes", [0, 8 * 1024**2])
async def test_tensors_of_every_size_come_through(
    rows: int, shared_bytes: int, want: Want, config: NodeConfig
) -> None:
    version = Loader(with_settings(config, shared_memory_bytes=shared_bytes)).load(
        want(twice, WIDE)
    )
    values = np.random.default_rng(rows).normal(size=(rows, 1000))
    try:
        for _ in range(3):
            found = await asyncio.gather(*(ask(version, [values + i]) for i in range(4)))
            for i, (answer,) in enumerate(found):
                np.testing.assert_array_equal(answer, 2 * (values + i))
    finally:
        version.close()


async def test_an_answer_that_is_the_input_itself_comes_through(
    want: Want, load_version: LoadVersion
) -> None:
    version = load_version(want(lambda inputs: inputs["x"][::-1], WIDE))
    values = np.random.default_rng(0).normal(size=(50, 1000))
    (answer,) = await ask(version, [values])
    np.testing.assert_array_equal(answer, values[::-1])


async def test_texts_come_through_shared_memory(want: Want, load_version: LoadVersion) -> None:
    spec = TensorSpec("x", "BYTES", (-1,))
    signature = Signature((spec,), (msgspec.structs.replace(spec, name="y"),))
    version = load_version(want(lambda inputs: inputs["x"], signature))
    texts = np.array(["\u2603" * 100 * i for i in range(100)], np.object_)
    assert (await ask(version, [texts]))[0].tolist() == texts.tolist()


async def test_what_was_not_begun_when_the_runner_died_is_answered_by_the_next(
    want: Want, load_version: LoadVersion, runners: Runners, left_a_note: LeftANote
) -> None:
    version = load_version(want(rows_together))
    deadly = asyncio.ensure_future(ask(version, numbers(14)))
    assert await asyncio.to_thread(until, lambda: left_a_note("begun"))
    (pid,) = runners()
    # stopped, it takes nothing more; what is asked now has not begun
    os.kill(pid, signal.SIGSTOP)
    waiting = [asyncio.ensure_future(ask(version, numbers(i))) for i in (1, 2)]
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RunLost, match="ended its runner, which is started again"):
        await deadly
    assert [len(answer[0]) for answer in await asyncio.gather(*waiting)] == [1, 1]
    assert version.restarts == 1


async def test_under_traffic_a_kill_costs_what_was_inside_and_gives_no_wrong_answer(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    version = load_version(want(twice))
    wrong: list[Any] = []
    failed: list[Exception] = []
    ended = time.monotonic() + 2.5

    async def caller(number: int) -> None:
        i = number
        while time.monotonic() < ended:
            i += 8
            try:
                answer = await ask(version, numbers(i))
            except ModelFailed as error:
                failed.append(error)
                continue
            if answer[0].tolist() != [2 * i]:
                wrong.append((i, answer))

    callers = [asyncio.ensure_future(caller(number)) for number in range(8)]
    for _ in range(2):
        await asyncio.sleep(0.7)
        # one that still loads would be tried again with a pause, in which all are refused
        await ask(version, numbers(0))
        for pid in runners():
            os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*callers)
    assert not wrong
    assert len(failed) <= 16
    assert version.restarts >= 1


async def test_a_runner_that_hangs_is_ended_and_the_next_one_answers(
    want: Want, config: NodeConfig
) -> None:
    def hang(inputs: Any) -> Any:
        import time

        if inputs["x"][0] == 14:
            time.sleep(600)
        return inputs["x"]

    version = Loader(with_settings(config, liveness_s=3.0)).load(want(hang))
    exits = counted(version)
    try:
        began = time.monotonic()
        with pytest.raises(RunLost, match="its runner was stopped"):
            await ask(version, numbers(14))
        assert time.monotonic() - began < 20
        assert (await ask(version, numbers(1)))[0].tolist() == [1]
        assert exits == {"hang": 1}
    finally:
        version.close()


def touchy(inputs: Any) -> Any:
    """A 14 waits for ever and keeps Python's lock, a 15 keeps it and computes for a while, a 16
    waits for a while without it.
    """
    import ctypes
    import math
    import time

    if inputs["x"][0] == 14:
        ctypes.PyDLL(None).pause()
    if inputs["x"][0] == 15:
        number, took = 200_000, 0.0
        # in one call, whatever the machine: between two the lock is given away
        while took < 1.5:
            began = time.monotonic()
            math.factorial(number)
            number, took = number * 3 // 2, time.monotonic() - began
        return inputs["x"] * 0 + took
    if inputs["x"][0] == 16:
        time.sleep(2.5)
    return inputs["x"]


async def test_a_runner_that_waits_with_pythons_lock_is_ended_long_before_its_silence_would_end_it(
    want: Want, config: NodeConfig
) -> None:
    loader = Loader(patient(config))
    version, neighbour = loader.load(want(touchy)), loader.load(want(twice))
    exits, others = counted(version), counted(neighbour)
    try:
        hanging = asyncio.ensure_future(ask(version, numbers(14)))
        await asyncio.sleep(0.1)
        behind = asyncio.ensure_future(ask(version, numbers(1)))
        assert (await ask(neighbour, numbers(2)))[0].tolist() == [4]
        async with asyncio.timeout(20):
            with pytest.raises(RunLost, match="keeps Python's lock"):
                await hanging
            assert (await behind)[0].tolist() == [1], "it had not begun"
        assert (exits, others) == ({"hang": 1}, {})
    finally:
        version.close()
        neighbour.close()


@pytest.mark.parametrize("value", [15, 16], ids=["computes-with-the-lock", "waits-without-it"])
async def test_a_runner_that_is_silent_for_a_while_and_well_is_left_alone(
    value: int, want: Want, config: NodeConfig
) -> None:
    version = Loader(patient(config)).load(want(touchy))
    exits = counted(version)
    try:
        # short runs are made on the thread that gives the signs of life
        for number in range(5):
            await ask(version, numbers(number))
        began = time.monotonic()
        await ask(version, numbers(value))
        assert time.monotonic() - began > 1.2, "it was not silent for long enough to be suspected"
        assert exits == {}
    finally:
        version.close()


async def test_a_runner_that_is_stopped_is_noticed_by_its_silence(
    want: Want, config: NodeConfig, runners: Runners
) -> None:
    version = Loader(with_settings(config, liveness_s=3.0)).load(want(twice))
    try:
        assert (await ask(version, numbers(1)))[0].tolist() == [2]
        os.kill(runners()[0], signal.SIGSTOP)
        began = time.monotonic()
        assert (await ask(version, numbers(2)))[0].tolist() == [4], "it had not begun"
        assert time.monotonic() - began < 20
    finally:
        version.close()


async def test_a_model_that_allocates_without_end_is_ended_within_a_second(
    want: Want, config: NodeConfig
) -> None:
    def greedy(inputs: Any) -> Any:
        import time

        kept = []
        while inputs["x"][0] == 14:
            kept.append(np.ones(1_000_000))
            time.sleep(0.01)
        return inputs["x"]

    limit = 300 * 1024**2
    version = Loader(with_settings(config, memory_bytes=limit)).load(want(greedy))
    exits = counted(version)
    try:
        with pytest.raises(RunLost):
            await ask(version, numbers(14))
        assert (await ask(version, numbers(1)))[0].tolist() == [1]
        assert exits == {"memory": 1}
    finally:
        version.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda inputs: inputs["x"].astype(np.float32), "came as float32, expected float64"),
        (lambda inputs: inputs["x"][:1], r"has shape \[1\] for 2 rows"),
        (lambda inputs: ["a", None], "came as object"),
        (lambda inputs: inputs["x"].astype(complex), "came as complex128, expected float64"),
    ],
    ids=["type", "rows", "texts", "complex"],
)
async def test_an_answer_that_is_not_the_signatures_is_an_error(
    answer: Any, words: str, want: Want, load_version: LoadVersion
) -> None:
    version = load_version(want(answer))
    with pytest.raises(ModelFailed, match=words):
        await ask(version, numbers(1, 2))


async def test_not_a_number_comes_through(want: Want, load_version: LoadVersion) -> None:
    version = load_version(want(lambda inputs: inputs["x"] * np.nan))
    assert np.isnan((await ask(version, numbers(1, 2)))[0]).all()


async def test_more_parameters_than_a_frame_holds_are_refused(
    want: Want, load_version: LoadVersion
) -> None:
    version = load_version(want(twice))
    with pytest.raises(InvalidArgument, match="beside its tensors"):
        await ask(version, numbers(1), text="a" * 5 * 1024**2)
    assert (await ask(version, numbers(1)))[0].tolist() == [2]


async def test_a_version_that_is_unloaded_answers_nobody_and_needs_no_runner(
    want: Want, config: NodeConfig, runners: Runners
) -> None:
    # who says goodbye is not waited for
    version = Loader(with_settings(config, idle_s=600.0)).load(want(twice))
    assert (await ask(version, numbers(1)))[0].tolist() == [2]
    version.close()
    with pytest.raises(ModelFailed):
        await ask(version, numbers(1))
    assert await asyncio.to_thread(until, lambda: not runners())


class Liar:
    """Stands where a runner was, and greets; then says what it is told to whatever is asked."""

    def __init__(self, socket_file: Path, says: bytes) -> None:
        socket_file.unlink()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_file))
        self._listener.listen()
        self._says = says
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.recv(65536)
        connection.sendall(self._says)
        connection.recv(65536)
        connection.close()

    def close(self) -> None:
        self._listener.close()


def frame(*header: Any) -> bytes:
    content = msgspec.msgpack.encode(list(header))
    return len(content).to_bytes(4, "little") + bytes(8) + content


@pytest.mark.parametrize("request_timeout_s", [3.0])
@pytest.mark.parametrize(
    "says",
    [
        b"junk" * 100,
        frame(3, 77, []),
        frame(3, 1, [["FP64", [1], 8]], False, True),
        frame(3, 1, [["FP64", [0, 2**62, 2**62], 0]], False, False),
        frame(2, 1, []),
        frame(99),
    ],
    ids=["bytes", "unknown", "no-place", "huge-shape", "request", "no-word"],
)
async def test_junk_from_a_runner_is_an_error_and_harms_nothing(
    says: bytes, want: Want, load_version: LoadVersion, config: NodeConfig
) -> None:
    version = load_version(want(twice))
    (work,) = [path for path in config.home.run.glob("runner-*") if not path.suffix]
    socket_file = short_socket_path(work.with_name(f"{work.name}.sock"))
    liar = Liar(socket_file, says)
    with pytest.raises(ModelFailed):
        await ask(version, numbers(1), time.monotonic() + 2)
    liar.close()
