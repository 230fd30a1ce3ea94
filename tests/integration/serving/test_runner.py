"""A runner as an engine sees it: shared, restarted after its end, gone when nobody needs it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.executor import RunLost
from augurium.serving.loading import Loader
from augurium.serving.runner_place import sweep
from tests.integration.serving.conftest import ANSWER, NUMBER, LoadVersion, Want, until

Runners = Callable[[], list[int]]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    # its sockets close a moment before it is gone
    assert until(lambda: not Path(f"/proc/{pid}").exists())


def twice(inputs: Any) -> Any:
    return {"y": inputs["x"] * 2}


def who(inputs: Any) -> Any:
    import os

    return inputs["x"] * 0 + os.getpid()


def numbers(*values: float) -> list[np.ndarray[Any, Any]]:
    return [np.array(values, np.float64)]


def test_a_version_in_a_runner_answers(want: Want, load_version: LoadVersion) -> None:
    version = load_version(want(twice))
    assert version.run(numbers(1, 2, 3))[0].tolist() == [2, 4, 6]


def test_engines_share_one_runner(want: Want, load_version: LoadVersion, runners: Runners) -> None:
    desired = want(who)
    first, second = load_version(desired), load_version(desired)
    assert first.run(numbers(0))[0] == second.run(numbers(0))[0] == runners()[0]
    assert len(runners()) == 1


def test_engines_that_come_at_the_same_time_start_one_runner(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    desired = want(who)
    threads = [threading.Thread(target=load_version, args=(desired,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runners()) == 1


def test_a_run_never_belongs_on_the_event_loop(want: Want, load_version: LoadVersion) -> None:
    version = load_version(want(twice))
    assert version.expected_s(1) == float("inf")


def test_several_runs_go_on_at_the_same_time(want: Want, load_version: LoadVersion) -> None:
    version = load_version(want(twice))
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        for _ in range(50):
            found[number] = version.run(numbers(number, number + 1))[0].tolist()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [2 * number, 2 * number + 2] for number in range(8)}


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BYTES", np.array(["a", "", "\u2603" * 1000], np.object_)),
        ("FP16", np.array([1, np.nan, -np.inf], np.float16)),
        ("BOOL", np.array([True, False, True])),
        ("UINT64", np.array([0, 1, 2**64 - 1], np.uint64)),
        ("INT8", np.arange(3, dtype=np.int8)),
    ],
)
def test_every_kind_of_tensor_comes_through_unchanged(
    datatype: str, values: Any, want: Want, load_version: LoadVersion
) -> None:
    signature = Signature((TensorSpec("x", datatype, (-1,)),), (TensorSpec("y", datatype, (-1,)),))
    version = load_version(want(lambda inputs: inputs["x"], signature))
    (answer,) = version.run([values])
    assert answer.dtype == values.dtype
    np.testing.assert_array_equal(answer, values)


def test_tensors_of_many_megabytes_come_through(want: Want, load_version: LoadVersion) -> None:
    values = np.random.default_rng(0).normal(size=(3000, 700))
    signature = Signature(
        (TensorSpec("x", "FP64", (-1, 700)), NUMBER), (TensorSpec("y", "FP64", (-1, 700)), ANSWER)
    )

    def swap(inputs: Any) -> Any:
        ((_, matrix), (_, column)) = inputs.items()
        return {"y": matrix, "z": column}

    signature = msgspec.structs.replace(
        signature,
        inputs=(signature.inputs[0], msgspec.structs.replace(NUMBER, name="w")),
        outputs=(signature.outputs[0], msgspec.structs.replace(ANSWER, name="z")),
    )
    version = load_version(want(swap, signature))
    # transposed: not contiguous in memory
    matrix, column = version.run([np.asfortranarray(values), values[:, 3]])
    np.testing.assert_array_equal(matrix, values)
    np.testing.assert_array_equal(column, values[:, 3])


def test_a_model_that_fails_says_why_and_goes_on(want: Want, load_version: LoadVersion) -> None:
    def picky(inputs: Any) -> Any:
        if inputs["x"].max() > 9:
            raise ValueError("more than nine")
        return inputs["x"]

    version = load_version(want(picky))
    with pytest.raises(ModelFailed, match="ValueError: more than nine"):
        version.run(numbers(10))
    assert version.run(numbers(9))[0].tolist() == [9]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda inputs: inputs["x"].astype(np.float32), "came as float32, expected float64"),
        (lambda inputs: inputs["x"][:1], r"has shape \[1\] for 2 rows"),
        (lambda inputs: {"z": inputs["x"]}, "returned z, expected also y"),
        (lambda inputs: ["a", None], "came as object"),
        (lambda inputs: [object(), b"b"], "returned objects, expected numbers, texts"),
        (lambda inputs: inputs["x"].astype(complex), "came as complex128, expected float64"),
    ],
)
def test_an_answer_that_is_not_the_signatures_is_an_error(
    answer: Any, words: str, want: Want, load_version: LoadVersion
) -> None:
    version = load_version(want(answer))
    with pytest.raises(ModelFailed, match=words):
        version.run(numbers(1, 2))


def test_a_runner_that_was_killed_is_started_again(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    version = load_version(want(who))
    first = int(version.run(numbers(0))[0][0])
    kill(first)
    second = int(version.run(numbers(0))[0][0])
    assert second != first
    assert runners() == [second]
    assert version.restarts == 1


def test_all_engines_come_back_to_one_runner_after_a_crash(
    want: Want, load_version: LoadVersion, runners: Runners
) -> None:
    desired = want(who)
    first, second = load_version(desired), load_version(desired)
    kill(runners()[0])
    assert first.run(numbers(0))[0] == second.run(numbers(0))[0]
    assert len(runners()) == 1
    assert first.restarts + second.restarts == 1


def test_a_crash_costs_the_run_that_was_inside(want: Want, load_version: LoadVersion) -> None:
    def deadly(inputs: Any) -> Any:
        import ctypes

        if inputs["x"][0] == 13:
            ctypes.string_at(0)
        return inputs["x"]

    version = load_version(want(deadly))
    with pytest.raises(RunLost, match="ended its runner, which is started again"):
        version.run(numbers(13))
    assert version.run(numbers(12))[0].tolist() == [12]


def test_a_version_that_crashes_again_and_again_rests_longer_and_longer(
    want: Want, load_version: LoadVersion
) -> None:
    def deadly(inputs: Any) -> Any:
        import os

        if inputs["x"][0] == 13:
            os.abort()
        return inputs["x"]

    version = load_version(want(deadly))
    said = ""
    for _ in range(8):
        with pytest.raises(ModelFailed) as failure:
            version.run(numbers(13))
        said = str(failure.value)
        if "several times" in said:
            break
    assert "ended its runner several times; it is started again in 1.6 s" in said
    assert until(lambda: answers(version))


def answers(version: Any) -> bool:
    try:
        return bool(version.run(numbers(12))[0].tolist() == [12])
    except ModelFailed:
        return False


@pytest.mark.parametrize("request_timeout_s", [3.0])
def test_a_run_that_hangs_is_stopped_and_costs_the_runner(
    want: Want, load_version: LoadVersion
) -> None:
    def hang(inputs: Any) -> Any:
        import time

        if inputs["x"][0] == 13:
            time.sleep(600)
        return inputs["x"]

    version = load_version(want(hang))
    started = time.monotonic()
    with pytest.raises(RunLost, match="did not answer within 3 s"):
        version.run(numbers(13))
    assert time.monotonic() - started < 20
    # the next runner may be late for the first who asks
    assert until(lambda: answers(version))


def test_a_runner_ends_when_the_last_engine_unloads(
    want: Want, load_version: LoadVersion, runners: Runners, config: NodeConfig
) -> None:
    desired = want(twice)
    first, second = load_version(desired), load_version(desired)
    (pid,) = runners()
    first.close()
    assert second.run(numbers(1))[0].tolist() == [2]
    second.close()
    assert until(lambda: not runners())
    assert until(lambda: not list(config.home.run.glob("runner-*"))), "it leaves no files"
    assert not Path(f"/proc/{pid}").exists()


def test_a_version_can_come_back_after_it_was_unloaded(
    want: Want, load_version: LoadVersion
) -> None:
    desired = want(who)
    for _ in range(3):
        version = load_version(desired)
        assert version.run(numbers(0))[0][0] > 0
        version.close()


def test_a_runner_outlives_an_engine_for_a_while_and_no_longer(
    want: Want, config: NodeConfig, runners: Runners, tmp_path: Path
) -> None:
    orders = tmp_path / "engine.msgpack"
    orders.write_bytes(msgspec.msgpack.encode((config, want(twice))))
    engine = (
        "import sys, time, msgspec\n"
        "from augurium.core.home import NodeConfig\n"
        "from augurium.serving.loading import Loader\n"
        "from augurium.serving.snapshot import DesiredVersion\n"
        "content = open(sys.argv[1], 'rb').read()\n"
        "kinds = tuple[NodeConfig, DesiredVersion]\n"
        "config, desired = msgspec.msgpack.decode(content, type=kinds)\n"
        "version = Loader(config).load(desired)\n"
        "print('loaded', flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", engine, str(orders)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while process.stdout.readline() != "loaded\n":
        assert process.poll() is None
    assert len(runners()) == 1
    process.kill()
    process.wait()
    process.stdout.close()
    assert until(lambda: not runners())


def test_what_killed_runners_left_is_swept(want: Want, config: NodeConfig) -> None:
    stale = config.home.run / "runner-gone-1-00000000"
    stale.mkdir()
    (stale / "left").write_text("over")
    stale.with_suffix(".sock").write_text("")
    stale.with_suffix(".log").write_text("")
    sweep(config.home.run)
    assert not list(config.home.run.glob("runner-*"))


def explode() -> None:
    raise RuntimeError("no such thing")


class Unloadable:
    def __reduce__(self) -> Any:
        return explode, ()


class Deadly:
    def __reduce__(self) -> Any:
        return os.abort, ()


class Endless:
    def __reduce__(self) -> Any:
        return time.sleep, (600,)


def test_a_version_that_cannot_be_loaded_says_why(want: Want, load_version: LoadVersion) -> None:
    with pytest.raises(ModelFailed, match="cannot be loaded: RuntimeError: no such thing"):
        load_version(want(Unloadable()))


def test_a_version_that_ends_its_runner_while_loading_says_so(
    want: Want, load_version: LoadVersion
) -> None:
    with pytest.raises(ModelFailed, match=r"while it loaded the model \(SIGABRT\)"):
        load_version(want(Deadly()))


def test_a_version_that_never_loads_is_given_up(
    want: Want, config: NodeConfig, runners: Runners
) -> None:
    settings = msgspec.structs.replace(
        config.settings, runners=msgspec.structs.replace(config.settings.runners, load_timeout_s=2)
    )
    loader = Loader(msgspec.structs.replace(config, settings=settings))
    with pytest.raises(ModelFailed, match="did not load within 2 s"):
        loader.load(want(Endless()))
    assert until(lambda: not runners())


def test_a_version_whose_framework_is_missing_says_what_to_install(
    want: Want, config: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "packages"
    missing.mkdir()
    (missing / "cloudpickle.py").write_text("raise ModuleNotFoundError('no', name='cloudpickle')")
    packages = f"{missing}:{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", packages)
    loader = Loader(config)
    with pytest.raises(ModelFailed, match=r"lacks cloudpickle .*pip install 'augurium\[python\]'"):
        loader.load(want(twice))


def test_a_damaged_file_is_not_loaded(want: Want, load_version: LoadVersion) -> None:
    with pytest.raises(ModelFailed, match="is damaged"):
        load_version(want(twice, digest="0" * 64))


def test_a_file_that_is_not_a_function_is_not_loaded(want: Want, load_version: LoadVersion) -> None:
    with pytest.raises(ModelFailed, match="holds a PosixPath, expected a function"):
        load_version(want(Path()))


def test_a_function_sees_neither_the_node_nor_the_network(
    want: Want, load_version: LoadVersion, config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGURIUM_KEY", "hunter2")
    config.home.database.write_text("secret")
    signature = Signature((NUMBER,), (TensorSpec("y", "BYTES", (-1,)),))
    database, socket_file = str(config.home.database), str(config.home.link_socket)

    def spy(inputs: Any) -> Any:
        import os
        import socket

        def attempt(action: Any) -> str:
            try:
                return f"done: {action()}"
            except OSError as error:
                return f"refused: {error.strerror}"

        found = [
            attempt(lambda: open(database).read()),  # noqa: PTH123, SIM115
            attempt(lambda: open(database, "w")),  # noqa: PTH123, SIM115
            attempt(lambda: socket.create_connection(("127.0.0.1", 1), 1)),
            attempt(lambda: socket.socket(socket.AF_UNIX).connect(socket_file)),
            attempt(lambda: os.kill(os.getppid(), 0)),
            str("hunter2" in str(dict(os.environ))),
        ]
        return ["; ".join(found)] * len(inputs["x"])

    answer = str(load_version(want(spy, signature)).run(numbers(1))[0][0])
    assert "done" not in answer
    assert answer.endswith("False")
