"""Versions of one framework share a runner: real processes, and what one may cost the others."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import psutil
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LinearRegression

from augurium.core.errors import ModelFailed
from augurium.core.files import sha256_of_file
from augurium.core.home import NodeConfig
from augurium.core.serving_policy import PlacementPolicy
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.runtimes.sklearn_rows import RowColumn, RowLayout
from augurium.serving.executor import AsyncExecutor, RunLost
from augurium.serving.loading import Loader
from augurium.serving.runner_suspects import Suspects, forget_suspects
from augurium.serving.snapshot import DesiredVersion
from tests.integration.serving.conftest import LoadVersion, Want, until

Runners = Callable[[], list[int]]
Constant = Callable[..., DesiredVersion]
MEGABYTE = 1024**2
WIDTH, TARGETS = 8000, 2000


def signature(outputs: int = 0, width: int = 3) -> Signature:
    answer = (-1, outputs) if outputs else (-1,)
    return Signature(
        (TensorSpec("features", "FP32", (-1, width)),),
        (TensorSpec("prediction", "FP32", answer),),
    )


def rows(count: int = 1, width: int = 3) -> list[Any]:
    return [np.zeros((count, width), np.float32)]


@pytest.fixture
def config(config: NodeConfig) -> NodeConfig:
    """With time for frameworks to be imported anew on a machine that is busy."""
    limits = msgspec.structs.replace(config.settings.limits, request_timeout_s=60.0)
    runners = msgspec.structs.replace(config.settings.runners, load_timeout_s=60.0, liveness_s=60.0)
    settings = msgspec.structs.replace(config.settings, limits=limits, runners=runners)
    return msgspec.structs.replace(config, settings=settings)


@pytest.fixture(scope="module")
def labels() -> Any:
    return np.random.default_rng(0).normal(size=2000).astype(np.float32)


@pytest.fixture
def constant(tmp_path: Path, labels: Any) -> Constant:
    """An XGBoost model that answers a number, for which it takes so many trees."""

    def make(number: float, trees: int = 1, **placement: Any) -> DesiredVersion:
        data = np.random.default_rng(1).normal(size=(2000, 3)).astype(np.float32)
        # with a learning rate of zero every tree costs its time and says nothing
        settings = {"base_score": number, "eta": 0.0, "max_depth": 6, "nthread": 1}
        booster = xgboost.train(settings, xgboost.DMatrix(data, labels), trees)
        file = tmp_path / f"constant-{number}-{trees}.ubj"
        booster.save_model(file)
        return DesiredVersion(
            model=f"constant{int(number)}",
            version=1,
            runtime="xgboost",
            path=str(file),
            digest=sha256_of_file(file),
            signature=signature(),
            placement=PlacementPolicy(**placement),
        )

    return make


@pytest.fixture
def forest(tmp_path: Path, labels: Any) -> Constant:
    """A LightGBM model, whose runs take the threads they are given."""

    def make(**placement: Any) -> DesiredVersion:
        data = np.random.default_rng(1).normal(size=(2000, 3))
        settings = {"verbose": -1, "num_threads": 1}
        booster = lightgbm.train(settings, lightgbm.Dataset(data, labels), 20)
        file = tmp_path / f"forest-{len(placement)}.txt"
        booster.save_model(file)
        return DesiredVersion(
            model="forest",
            version=1,
            runtime="lightgbm",
            path=str(file),
            digest=sha256_of_file(file),
            signature=signature(),
            placement=PlacementPolicy(**placement),
        )

    return make


@pytest.fixture
def endless(tmp_path: Path) -> DesiredVersion:
    """A file that can be read for ever: nobody writes into it."""
    file = tmp_path / "endless"
    os.mkfifo(file)
    return DesiredVersion("endless", 1, "xgboost", str(file), "0" * 64, signature())


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not Path(f"/proc/{pid}").exists())


def answers(version: Any, number: float) -> bool:
    try:
        return bool((version.run(rows())[0] == number).all())
    except ModelFailed:
        return False


def in_the_background(action: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(action())
        except ModelFailed as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def test_versions_of_one_framework_are_in_one_process_and_answer_for_themselves(
    constant: Constant, load_version: LoadVersion, runners: Runners
) -> None:
    versions = {number: load_version(constant(number)) for number in (1.0, 2.0, 3.0)}
    assert len(runners()) == 1
    wrong: list[Any] = []

    def ask(number: float) -> None:
        for count in range(1, 60):
            (answer,) = versions[number].run(rows(count))
            if answer.shape != (count,) or not (answer == number).all():
                wrong.append((number, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in (*versions, *versions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_version_that_wants_a_process_of_its_own_has_one(
    constant: Constant, load_version: LoadVersion, runners: Runners
) -> None:
    shared = load_version(constant(1.0))
    alone = load_version(constant(2.0, isolation="dedicated"))
    assert len(runners()) == 2
    assert answers(shared, 1.0)
    assert answers(alone, 2.0)


def test_a_function_never_shares_a_process(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    placement = PlacementPolicy(isolation="shared")
    for name in ("one", "other"):
        load_version(want(lambda inputs: inputs["x"], model=name, placement=placement))
    assert len(runners()) == 2


def test_those_that_want_other_threads_or_cpus_are_in_another_process(
    forest: Constant, load_version: LoadVersion, runners: Runners
) -> None:
    alone = load_version(forest())
    (single,) = runners()
    cpu = min(os.sched_getaffinity(0))
    pinned = load_version(forest(threads=3, cpus=str(cpu)))
    (pid,) = set(runners()) - {single}
    assert os.sched_getaffinity(pid) == {cpu}
    assert os.sched_getaffinity(single) == os.sched_getaffinity(0)
    for version in (alone, pinned):
        version.run(rows(50_000))
    # the thread that asks for a run is the first of three
    assert threads_of(pid) >= threads_of(single) + 2


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_what_a_function_calls_has_as_many_threads_as_its_placement_says(
    want: Want, load_version: LoadVersion
) -> None:
    def threads(inputs: Any) -> Any:
        import os

        return inputs["x"] * 0 + int(os.environ["OMP_NUM_THREADS"])

    for count in (0, 5):
        version = load_version(want(threads, placement=PlacementPolicy(threads=count)))
        assert version.run([np.zeros(1)])[0].tolist() == [count or 1]


def test_cpus_that_are_not_there_are_named(constant: Constant, load_version: LoadVersion) -> None:
    with pytest.raises(ModelFailed, match="names CPU 4000, and this node may use"):
        load_version(constant(1.0, cpus="4000"))


def test_an_unloaded_version_gives_its_memory_back_while_its_neighbour_answers(
    large: DesiredVersion, small: DesiredVersion, load_version: LoadVersion, runners: Runners
) -> None:
    neighbour = load_version(small)
    (pid,) = runners()
    # as often as the first runs bring threads and buffers with them
    for _ in range(20):
        neighbour.run(rows())
    before = resident_bytes(pid)
    heavy = load_version(large)
    assert runners() == [pid]
    held = resident_bytes(pid)
    assert held - before > 100 * MEGABYTE
    # what the version says of itself is what the process grew by
    assert 100 * MEGABYTE < heavy.memory_bytes < 250 * MEGABYTE  # type: ignore[attr-defined]
    stop = threading.Event()
    failed: list[Exception] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                neighbour.run(rows())
            except ModelFailed as error:
                failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    heavy.close()
    gone = until(lambda: resident_bytes(pid) < before + 0.25 * (held - before), 20)
    stop.set()
    asking.join()
    assert gone, (before, held, resident_bytes(pid))
    assert not failed
    assert runners() == [pid]


@pytest.fixture(scope="module")
def sklearn_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sklearn")
    rng = np.random.default_rng(0)
    files = {}
    for name, targets, width in (("small", 0, 3), ("large", TARGETS, WIDTH)):
        model = LinearRegression()
        model.coef_ = rng.normal(size=(targets, width) if targets else (width,))
        model.intercept_ = np.zeros(targets) if targets else 0.0
        model.n_features_in_ = width
        files[name] = folder / f"{name}.skops"
        skops.io.dump(model, files[name])
    return files


def linear(file: Path, targets: int, width: int) -> DesiredVersion:
    layout = RowLayout(tuple(RowColumn(f"c{number}") for number in range(width)), is_matrix=True)
    options = {"format": "skops", "rows": msgspec.json.encode(layout).decode()}
    return DesiredVersion(
        file.stem, 1, "sklearn", str(file), sha256_of_file(file), signature(targets, width), options
    )


@pytest.fixture
def small(sklearn_files: dict[str, Path]) -> DesiredVersion:
    return linear(sklearn_files["small"], 0, 3)


@pytest.fixture
def large(sklearn_files: dict[str, Path]) -> DesiredVersion:
    return linear(sklearn_files["large"], TARGETS, WIDTH)


def test_a_version_that_does_not_load_leaves_its_neighbours_alone(
    constant: Constant, load_version: LoadVersion, runners: Runners, tmp_path: Path
) -> None:
    good = load_version(constant(1.0))
    (pid,) = runners()
    file = tmp_path / "junk.ubj"
    file.write_bytes(b"no model at all")
    junk = DesiredVersion("junk", 1, "xgboost", str(file), sha256_of_file(file), signature())
    with pytest.raises(ModelFailed, match="XGBoost cannot load"):
        load_version(junk)
    with pytest.raises(ModelFailed, match="is damaged"):
        load_version(msgspec.structs.replace(junk, digest="0" * 64))
    with pytest.raises(ModelFailed, match="cannot be read: No such file"):
        load_version(msgspec.structs.replace(junk, path="missing-artifact"))
    assert runners() == [pid]
    assert answers(good, 1.0)
    assert good.restarts == 0


def test_runs_go_on_while_a_neighbour_loads(
    constant: Constant, endless: DesiredVersion, load_version: LoadVersion, config: NodeConfig
) -> None:
    good = load_version(constant(1.0))
    loading, said = in_the_background(lambda: Loader(config).load(endless))
    assert until(lambda: bool(lent(config)))
    for _ in range(50):
        assert answers(good, 1.0)
    assert not said
    # whoever reads it meets the end of the file, and finds that it is not what was registered
    with Path(endless.path).open("wb"):
        pass
    loading.join()
    assert "is damaged" in str(said[0])
    assert until(lambda: not lent(config)), "no file is lent for longer than it is loaded"


def lent(config: NodeConfig) -> list[Path]:
    return list(config.home.run.glob("runner-*.models/*"))


def test_a_load_that_never_ends_costs_the_runner_once_and_then_one_of_its_own(
    constant: Constant, endless: DesiredVersion, config: NodeConfig, runners: Runners
) -> None:
    settings = msgspec.structs.replace(
        config.settings, runners=msgspec.structs.replace(config.settings.runners, load_timeout_s=15)
    )
    loader = Loader(msgspec.structs.replace(config, settings=settings))
    good = loader.load(constant(1.0))
    (first,) = runners()
    with pytest.raises(ModelFailed, match="did not load within 15 s"):
        loader.load(endless)
    assert until(lambda: answers(good, 1.0))
    (second,) = runners()
    assert second != first
    with pytest.raises(ModelFailed, match="did not load within 15 s"):
        loader.load(endless)
    assert answers(good, 1.0)
    assert until(lambda: runners() == [second])
    good.close()


def test_what_ends_the_runner_while_it_loads_is_tried_in_one_of_its_own_at_once(
    constant: Constant,
    endless: DesiredVersion,
    load_version: LoadVersion,
    config: NodeConfig,
    runners: Runners,
) -> None:
    good = load_version(constant(1.0))
    (first,) = runners()
    loading, said = in_the_background(lambda: Loader(config).load(endless))
    assert until(lambda: bool(lent(config)))
    # its load has begun when it reads
    writing = writes_into(endless)
    kill(first)
    assert until(lambda: any(b"endless" in place(pid) for pid in runners()))
    assert until(lambda: answers(good, 1.0))
    assert len(runners()) == 2
    with Path(endless.path).open("wb"):
        os.close(writing)
    loading.join()
    assert "is damaged" in str(said[0])
    assert answers(good, 1.0)


def writes_into(desired: DesiredVersion) -> int:
    """The end to write into a file that is a pipe, as soon as somebody reads it."""
    found: list[int] = []

    def opened() -> bool:
        with suppress(OSError):
            found.append(os.open(desired.path, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    assert until(opened)
    return found[0]


def place(pid: int) -> bytes:
    try:
        return os.fsencode(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return b""


async def begun(version: Any, inputs: list[Any]) -> Any:
    """One run, as a batcher begins it."""
    assert isinstance(version, AsyncExecutor)
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    version.begin(inputs, {}, 1e12, future.set_result)
    return await future


def has_computed(pid: int, seconds: float = 0.2) -> Callable[[], bool]:
    """Whether a process has used so much CPU time since."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    return lambda: sum(process.cpu_times()[:2]) - before >= seconds


async def test_a_runner_that_dies_costs_what_was_inside_and_no_neighbour_more(
    constant: Constant, load_version: LoadVersion, runners: Runners
) -> None:
    busy = await asyncio.to_thread(load_version, constant(1.0, trees=300))
    idle = await asyncio.to_thread(load_version, constant(2.0))
    (first,) = runners()
    computes = has_computed(first)
    long_run = asyncio.ensure_future(begun(busy, rows(1_000_000)))
    assert await asyncio.to_thread(until, computes)
    os.kill(first, signal.SIGKILL)
    later = await begun(idle, rows())
    assert not isinstance(later, Exception)
    assert later[0].tolist() == [2.0]
    assert isinstance(await long_run, RunLost)
    (answer,) = await begun(busy, rows())
    assert answer.tolist() == [1.0]
    # once may be anything
    assert len(runners()) == 1


async def test_who_was_inside_twice_gets_a_runner_of_its_own(
    constant: Constant, load_version: LoadVersion, runners: Runners
) -> None:
    busy = await asyncio.to_thread(load_version, constant(1.0, trees=300))
    idle = await asyncio.to_thread(load_version, constant(2.0))
    for _ in range(2):
        (pid,) = runners()
        computes = has_computed(pid)
        long_run = asyncio.ensure_future(begun(busy, rows(1_000_000)))
        assert await asyncio.to_thread(until, computes)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(await long_run, RunLost)
        assert (await begun(busy, rows()))[0].tolist() == [1.0]
        assert (await begun(idle, rows()))[0].tolist() == [2.0]
        # engines tell the ends of runners apart by their time
        await asyncio.sleep(1.0)
    assert len(runners()) == 2
    places = {place(pid).rpartition(b"/")[2].partition(b"-")[2] for pid in runners()}
    assert any(name.startswith(b"constant1-1-") for name in places)
    # another engine finds it there
    again = await asyncio.to_thread(load_version, constant(1.0, trees=300))
    assert len(runners()) == 2
    assert (await begun(again, rows()))[0].tolist() == [1.0]


async def test_one_versions_long_runs_keep_no_other_from_its_turn(
    constant: Constant, load_version: LoadVersion
) -> None:
    slow = await asyncio.to_thread(load_version, constant(1.0, trees=200))
    other = await asyncio.to_thread(load_version, constant(2.0, trees=100))
    # what it takes is known to be more than a moment
    await begun(other, rows(40_000))
    ended: list[str] = []

    async def noted(name: str, version: Any, count: int) -> None:
        await begun(version, rows(count))
        ended.append(name)

    many = [asyncio.ensure_future(noted("slow", slow, 200_000 + one)) for one in range(12)]
    await asyncio.sleep(0.1)
    await noted("other", other, 40_000)
    before = ended.index("other")
    await asyncio.gather(*many)
    assert before < 10, ended


def test_files_on_another_file_system_are_copied(
    constant: Constant, load_version: LoadVersion
) -> None:
    folder = Path("/dev/shm") / f"augurium-{os.getpid()}"
    if not folder.parent.exists():
        pytest.skip("needs a second file system at /dev/shm")
    folder.mkdir()
    try:
        desired = constant(7.0)
        moved = folder / "model.ubj"
        moved.write_bytes(Path(desired.path).read_bytes())
        assert answers(load_version(msgspec.structs.replace(desired, path=str(moved))), 7.0)
    finally:
        (folder / "model.ubj").unlink(missing_ok=True)
        folder.rmdir()


def test_no_other_name_of_a_file_is_left_when_it_has_loaded(
    constant: Constant, load_version: LoadVersion
) -> None:
    desired = constant(1.0)
    load_version(desired)
    assert os.stat(desired.path).st_nlink == 1  # noqa: PTH116


def test_suspicion_is_forgotten_when_the_node_starts(tmp_path: Path) -> None:
    suspects = Suspects(tmp_path)
    suspects.was_loading("m-1-00000000")
    assert Suspects(tmp_path).is_proven("m-1-00000000")
    forget_suspects(tmp_path)
    assert not suspects.is_proven("m-1-00000000")
