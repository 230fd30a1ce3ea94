"""Streams of answers from a real runner: in order, no further ahead than allowed, and ended with
their caller.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.core.signature import Signature
from augurium.serving.executor import RunLost
from augurium.serving.replicated_runner import ReplicatedRunner
from augurium.serving.runner_stream import AHEAD, RunnerStream
from augurium.serving.snapshot import DesiredVersion
from tests.integration.serving.conftest import ANSWER, NUMBER, SIGNATURE, LoadVersion, Want, until

STREAMED = Signature((NUMBER,), (ANSWER,), streamed=True)

Runners = Callable[[], list[int]]
LoadStreamed = Callable[..., ReplicatedRunner]
LeftANote = Callable[[str], bool]


def count(inputs: Any, parameters: Any) -> Any:
    """Counts to x, writes down how far it came and how it ended, and does as it is told."""
    import time
    from pathlib import Path

    def note(word: str) -> None:
        with open("notes", "a") as notes:  # noqa: PTH123
            notes.write(f"{word}\n")

    if parameters:
        # the run that is made when it loads has none
        Path("begun").touch()
    try:
        for number in range(int(inputs["x"][0])):
            if number == parameters.get("fail_at"):
                raise ValueError("as told")
            if number == parameters.get("crash_at"):
                import os

                os.abort()
            time.sleep(parameters.get("step_s", 0))
            note(f"made {number}")
            yield {"y": np.array([number], float)}
        note("complete")
    except GeneratorExit:
        note("left")
        raise


@pytest.fixture
def load_streamed(want: Want, load_version: LoadVersion) -> LoadStreamed:
    def load(function: Any = count, **fields: Any) -> ReplicatedRunner:
        desired: DesiredVersion = want(function, STREAMED, **fields)
        version = load_version(desired)
        assert isinstance(version, ReplicatedRunner)
        return version

    return load


@pytest.fixture
def notes(config: NodeConfig) -> Callable[[], list[str]]:
    """What the function wrote down; the first call forgets what is there already."""
    seen = 0

    def read() -> list[str]:
        found: list[str] = []
        for file in config.home.run.glob("runner-*/notes"):
            found += file.read_text().splitlines()
        return found[seen:]

    def begin() -> list[str]:
        nonlocal seen
        found = read()
        if not seen:
            seen += len(found)
        return found

    return begin


def numbers(*values: float) -> list[np.ndarray[Any, Any]]:
    return [np.array(values, np.float64)]


def all_of(stream: RunnerStream) -> Iterator[float]:
    while found := stream.take():
        for (answer,) in found:
            yield from answer.tolist()


def left(stream: RunnerStream) -> None:
    stream.stop()
    stream.finish()


def test_a_thousand_answers_come_in_order(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    assert list(all_of(version.open_stream(numbers(1000), {}))) == list(range(1000))


def test_a_stream_may_have_no_answers(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    assert list(all_of(version.open_stream(numbers(0), {}))) == []


def test_an_answer_comes_before_the_next_one_is_made(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    started = time.monotonic()
    # all of them take ten seconds
    stream = version.open_stream(numbers(20), {"step_s": 0.5})
    assert stream.take()[0][0].tolist() == [0.0]
    assert time.monotonic() - started < 5
    left(stream)


def test_the_function_is_not_run_ahead_without_bound(
    load_streamed: LoadStreamed, notes: Callable[[], list[str]]
) -> None:
    version = load_streamed()
    notes()
    stream = version.open_stream(numbers(1000), {})
    taken = len(stream.take())
    assert until(lambda: len(notes()) >= AHEAD)
    time.sleep(0.2)
    assert len(notes()) <= taken + AHEAD
    left(stream)


def test_a_caller_that_leaves_closes_the_generator_and_frees_its_thread(
    load_streamed: LoadStreamed, notes: Callable[[], list[str]], runners: Runners
) -> None:
    version = load_streamed()
    (pid,) = runners()
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    notes()
    for _ in range(5):
        stream = version.open_stream(numbers(1000), {})
        stream.take()
        left(stream)
        assert stream.ended
    assert notes().count("left") == 5
    assert runners() == [pid], "it costs nobody the runner"
    assert list(all_of(version.open_stream(numbers(3), {}))) == [0, 1, 2]
    assert until(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) <= threads + 1)


def test_a_caller_may_leave_during_a_step(
    load_streamed: LoadStreamed, notes: Callable[[], list[str]], left_a_note: LeftANote
) -> None:
    version = load_streamed()
    notes()
    stream = version.open_stream(numbers(20), {"step_s": 0.5})
    taker = threading.Thread(target=stream.take)
    taker.start()
    assert until(lambda: left_a_note("begun"))
    left(stream)
    taker.join()
    assert notes()[-1] == "left"
    assert list(all_of(version.open_stream(numbers(2), {}))) == [0, 1]


def test_an_engine_that_dies_closes_the_generator(
    want: Want, load_version: LoadVersion, notes: Callable[[], list[str]]
) -> None:
    desired = want(count, STREAMED)
    # another engine keeps the runner, and what it wrote down
    version, _ = load_version(desired), load_version(desired)
    assert isinstance(version, ReplicatedRunner)
    notes()
    stream = version.open_stream(numbers(1000), {})
    stream.take()
    # ends every connection, as the end of the process does
    version.close()
    assert until(lambda: "left" in notes())
    stream.finish()


def test_an_error_comes_after_the_answers_before_it(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    stream = version.open_stream(numbers(5), {"fail_at": 3})
    found: list[float] = []
    with pytest.raises(ModelFailed, match="ValueError: as told"):
        found.extend(all_of(stream))
    assert found == [0, 1, 2]
    assert list(all_of(version.open_stream(numbers(2), {}))) == [0, 1]


def test_a_runner_that_is_killed_costs_the_streams_in_it(
    load_streamed: LoadStreamed, runners: Runners
) -> None:
    version = load_streamed()
    stream = version.open_stream(numbers(1000), {})
    stream.take()
    os.kill(runners()[0], signal.SIGKILL)
    with pytest.raises(RunLost, match="ended its runner, which is started again"):
        list(all_of(stream))
    assert list(all_of(version.open_stream(numbers(2), {}))) == [0, 1]


def test_a_crash_leaves_other_versions_alone(
    load_streamed: LoadStreamed, want: Want, load_version: LoadVersion
) -> None:
    other = load_version(want(lambda inputs: inputs["x"] * 2, SIGNATURE, model="other"))
    version = load_streamed()
    stream = version.open_stream(numbers(5), {"crash_at": 2})
    with pytest.raises(RunLost):
        list(all_of(stream))
    assert other.run(numbers(4))[0].tolist() == [8]


@pytest.mark.parametrize("request_timeout_s", [3.0])
def test_a_step_that_hangs_costs_the_runner(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    started = time.monotonic()
    with pytest.raises(RunLost, match="gave no answer within 3 s"):
        list(all_of(version.open_stream(numbers(5), {"step_s": 600})))
    assert time.monotonic() - started < 20
    # the next runner may be late for the first who asks
    assert until(lambda: answers(version))


def answers(version: ReplicatedRunner) -> bool:
    try:
        return list(all_of(version.open_stream(numbers(2), {}))) == [0, 1]
    except ModelFailed:
        return False


@pytest.mark.parametrize("request_timeout_s", [3.0])
def test_a_slow_reader_is_not_a_lost_runner(load_streamed: LoadStreamed) -> None:
    def large(inputs: Any) -> Any:
        for number in range(int(inputs["x"][0])):
            yield {"y": np.full(1, number, float)}

    version = load_streamed(large)
    stream = version.open_stream(numbers(100), {})
    assert stream.take()
    # longer than a step may take
    time.sleep(3.5)
    assert len(list(all_of(stream))) >= 90


def test_streams_of_one_runner_take_turns(load_streamed: LoadStreamed) -> None:
    version = load_streamed()
    began = time.monotonic()
    came: dict[int, list[float]] = {1: [], 2: []}

    def read(number: int, stream: RunnerStream) -> None:
        for _ in all_of(stream):
            came[number].append(time.monotonic() - began)

    streams = {number: version.open_stream(numbers(20), {"step_s": 0.1}) for number in came}
    threads = [threading.Thread(target=read, args=each) for each in streams.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(times) for times in came.values()] == [20, 20]
    assert came[1][0] < came[2][-1]
    assert came[2][0] < came[1][-1]


@pytest.mark.parametrize("request_timeout_s", [5.0])
def test_a_stream_that_waits_for_its_turn_is_not_one_that_hangs(
    load_streamed: LoadStreamed,
) -> None:
    version = load_streamed()
    # four steps of 1.8 s, one at a time: some wait for longer than one step may take
    found: list[list[float]] = []

    def read() -> None:
        found.append(list(all_of(version.open_stream(numbers(1), {"step_s": 1.8}))))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[0.0]] * 4
    assert version.restarts == 0


def test_one_answer_of_another_form_ends_the_stream(load_streamed: LoadStreamed) -> None:
    def changing(inputs: Any) -> Any:
        yield {"y": inputs["x"]}
        yield {"y": inputs["x"].astype(np.float32)}

    version = load_streamed(changing)
    stream = version.open_stream(numbers(1), {})
    with pytest.raises(ModelFailed, match="came as float32, expected float64"):
        list(all_of(stream))
    left(stream)


def test_a_function_without_an_iterator_says_so(load_streamed: LoadStreamed) -> None:
    version = load_streamed(lambda inputs: inputs["x"])
    with pytest.raises(ModelFailed, match="returned a ndarray, expected an iterator"):
        version.open_stream(numbers(1), {}).take()


def test_an_iterator_that_is_no_generator_streams_too(load_streamed: LoadStreamed) -> None:
    version = load_streamed(lambda inputs: map(np.atleast_1d, [inputs["x"][0]] * 3))
    assert list(all_of(version.open_stream(numbers(7), {}))) == [7, 7, 7]


def test_a_function_that_will_not_be_closed_harms_nobody(load_streamed: LoadStreamed) -> None:
    def stubborn(inputs: Any) -> Any:
        for _ in range(100):
            try:
                yield inputs["x"]
            except GeneratorExit:
                yield inputs["x"] * 0

    version = load_streamed(stubborn)
    stream = version.open_stream(numbers(1), {})
    stream.take()
    left(stream)
    stream = version.open_stream(numbers(5), {})
    assert next(all_of(stream)) == 5
    left(stream)


def test_parameters_reach_a_function_that_asks_for_them(load_streamed: LoadStreamed) -> None:
    def told(inputs: Any, parameters: Any) -> Any:
        yield np.array([parameters["a"] + len(parameters["b"]) + parameters["c"]], float)

    version = load_streamed(told)
    stream = version.open_stream(numbers(1), {"a": 1.5, "b": "four", "c": True})
    assert list(all_of(stream)) == [6.5]


def test_a_stream_that_had_not_begun_is_asked_of_the_next_runner(
    load_streamed: LoadStreamed,
    runners: Runners,
    notes: Callable[[], list[str]],
    left_a_note: LeftANote,
) -> None:
    version = load_streamed()
    begun = version.open_stream(numbers(2), {"step_s": 20})
    found: list[Any] = []

    def read(stream: RunnerStream) -> None:
        try:
            found.append(list(all_of(stream)))
        except RunLost as error:
            found.append(str(error))

    first = threading.Thread(target=read, args=(begun,))
    first.start()
    assert until(lambda: left_a_note("begun")), "its first step goes on"
    waiting = version.open_stream(numbers(3), {})
    second = threading.Thread(target=read, args=(waiting,))
    second.start()
    time.sleep(0.2)
    for pid in runners():
        os.kill(pid, signal.SIGKILL)
    first.join()
    second.join()
    assert found == ["the model ended its runner, which is started again", [0.0, 1.0, 2.0]]
    assert [note for note in notes() if note.startswith("made")][-3:] == [
        "made 0",
        "made 1",
        "made 2",
    ]


def test_streams_asked_for_while_a_runner_dies_are_all_answered(
    load_streamed: LoadStreamed, runners: Runners
) -> None:
    version = load_streamed()
    # more often, and nobody would be let wait for the next
    for _ in range(3):
        for pid in runners():
            os.kill(pid, signal.SIGKILL)
        # some meet the one that dies, some its end, some nobody
        for _ in range(5):
            assert list(all_of(version.open_stream(numbers(2), {}))) == [0, 1]


def test_a_stream_that_was_left_before_it_had_begun_ends(
    load_streamed: LoadStreamed, runners: Runners, left_a_note: LeftANote
) -> None:
    version = load_streamed()
    busy = version.open_stream(numbers(1), {"step_s": 20})
    assert until(lambda: left_a_note("begun"))
    waiting = version.open_stream(numbers(1000), {})
    waiting.stop()
    for pid in runners():
        os.kill(pid, signal.SIGKILL)
    waiting.finish()
    assert waiting.ended
    with pytest.raises(RunLost):
        list(all_of(busy))
    assert list(all_of(version.open_stream(numbers(1), {}))) == [0]
