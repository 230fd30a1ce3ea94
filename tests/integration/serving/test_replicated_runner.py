"""Several runners of one version behind one executor: real processes that come, go and die."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.serving.loading import Loader
from augurium.serving.replicated_runner import ReplicatedRunner
from tests.integration.serving.conftest import LoadVersion, Want, until

Runners = Callable[[], list[int]]
PATIENCE_S = 60.0
FAR = 1e12


def who(inputs: Any) -> Any:
    """Which process answers; it takes as long as it is told. Told of a process, by its number with
    a minus, it leaves a note and takes long in that one, and a moment in others.
    """
    import os
    import time
    from pathlib import Path

    told = float(inputs["x"].max())
    if told < 0:
        told = 20.0 if -told == os.getpid() else 0.4
        Path(f"begun-{os.getpid()}").touch()
    time.sleep(told)
    return inputs["x"] * 0 + os.getpid()


def rows(*values: float) -> list[np.ndarray[Any, Any]]:
    return [np.array(values, np.float64)]


async def ask(version: ReplicatedRunner, seconds: float) -> int:
    """One run as a batcher begins it; the process that answered."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def done(found: list[Any] | Exception) -> None:
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(int(found[0][0]))

    version.begin(rows(seconds), {}, FAR, done)
    return await future


@pytest.fixture
def version(want: Want, load_version: LoadVersion) -> ReplicatedRunner:
    loaded = load_version(want(who))
    assert isinstance(loaded, ReplicatedRunner)
    return loaded


async def has(version: ReplicatedRunner, number: int) -> list[int]:
    """Its processes, once there are so many."""

    def there() -> bool:
        return len(version.pids) == number

    assert await asyncio.to_thread(until, there, PATIENCE_S), version.pids
    return version.pids


async def alive(runners: Runners, number: int) -> bool:
    """Whether so many processes are there soon."""
    return await asyncio.to_thread(until, lambda: len(runners()) == number, PATIENCE_S)


async def test_two_replicas_are_two_processes_and_both_answer(
    version: ReplicatedRunner, runners: Runners
) -> None:
    before = await has(version, 1)
    version.set_replicas(2)
    pids = await has(version, 2)
    assert set(before) < set(pids)
    assert sorted(pids) == sorted(runners())
    found = await asyncio.gather(*(ask(version, 0.2) for _ in range(2)))
    assert sorted(found) == sorted(pids)
    assert version.memory_bytes > 0


async def test_with_little_to_do_all_runs_go_to_one_so_that_they_stay_together(
    version: ReplicatedRunner,
) -> None:
    version.set_replicas(2)
    await has(version, 2)
    assert len({await ask(version, 0.0) for _ in range(20)}) == 1


async def test_engines_begin_with_different_replicas(want: Want, config: NodeConfig) -> None:
    desired = want(who)
    engines = [Loader(config, engine=f"engine-{number}").load(desired) for number in range(2)]
    try:
        for engine in engines:
            assert isinstance(engine, ReplicatedRunner)
            engine.set_replicas(2)
            await has(engine, 2)
        found = [await ask(engine, 0.0) for engine in engines]  # type: ignore[arg-type]
        assert len(set(found)) == 2
    finally:
        for engine in engines:
            engine.close()


async def test_one_that_is_killed_under_load_costs_its_own_runs_and_comes_back(
    version: ReplicatedRunner, left_a_note: Callable[[str], bool]
) -> None:
    exits: dict[str, int] = {}
    version.count_exits_in(exits)
    version.set_replicas(2)
    victim, other = await has(version, 2)
    asked = [asyncio.ensure_future(ask(version, -victim)) for _ in range(8)]
    assert await asyncio.to_thread(until, lambda: left_a_note(f"begun-{victim}"))
    os.kill(victim, signal.SIGKILL)
    found = await asyncio.gather(*asked, return_exceptions=True)
    lost = [one for one in found if isinstance(one, BaseException)]
    # what it had begun is lost, as much as the other had begun; what waited there is asked of it
    assert all(isinstance(one, ModelFailed) for one in lost)
    assert 1 <= len(lost) <= 4
    assert {one for one in found if isinstance(one, int)} == {other}
    assert await ask(version, 0.0) != victim

    assert other in await has(version, 2)
    again = await asyncio.gather(*(ask(version, 0.2) for _ in range(2)))
    assert victim not in again
    assert len(set(again)) == 2
    assert (version.restarts, exits) == (1, {"crash": 1})


async def test_one_that_leaves_finishes_what_it_accepted(
    version: ReplicatedRunner, runners: Runners
) -> None:
    version.set_replicas(2)
    pids = await has(version, 2)
    asked = [asyncio.ensure_future(ask(version, 0.5)) for _ in range(4)]
    await asyncio.sleep(0.1)
    version.set_replicas(1)
    later = [await ask(version, 0.0) for _ in range(3)]
    assert set(await asyncio.gather(*asked)) == set(pids)
    assert set(later) == {pids[0]}
    assert await asyncio.to_thread(until, lambda: runners() == [pids[0]], PATIENCE_S)


async def test_from_two_to_one_to_three_under_load_no_run_fails(
    version: ReplicatedRunner, runners: Runners
) -> None:
    end, answers = False, 0

    async def caller() -> None:
        nonlocal answers
        while not end:
            await ask(version, 0.002)
            answers += 1

    callers = [asyncio.ensure_future(caller()) for _ in range(6)]
    for number in (2, 1, 3, 1, 2):
        version.set_replicas(number)
        await has(version, number)
        assert await alive(runners, number)
    end = True
    await asyncio.gather(*callers)
    assert answers > 50


async def test_callers_on_threads_are_shared_out_too(version: ReplicatedRunner) -> None:
    version.set_replicas(2)
    pids = await has(version, 2)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(int(version.run(rows(2.0))[0][0])))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(found) == sorted(pids)


def test_a_replica_that_does_not_start_takes_no_runs_and_is_tried_again(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    desired = want(who)
    version = load_version(desired)
    assert isinstance(version, ReplicatedRunner)
    content = Path(desired.path).read_bytes()
    Path(desired.path).write_bytes(b"no function")
    version.set_replicas(2)
    # it starts, and ends again because it cannot load
    assert until(lambda: len(runners()) == 2, PATIENCE_S)
    assert until(lambda: len(runners()) == 1, PATIENCE_S)
    assert [int(version.run(rows(0.0))[0][0])] == version.pids == runners()
    Path(desired.path).write_bytes(content)
    assert until(lambda: len(version.pids) == 2, PATIENCE_S)


async def test_closing_ends_all_of_them(version: ReplicatedRunner, runners: Runners) -> None:
    version.set_replicas(3)
    await has(version, 3)
    version.close()
    assert await asyncio.to_thread(until, lambda: not runners(), PATIENCE_S)
