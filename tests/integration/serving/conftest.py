"""Versions whose runtime lives in a runner: real processes and sockets, as an engine meets them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from augurium.core.files import sha256_of_file
from augurium.core.home import NodeConfig
from augurium.core.settings import LimitSettings, NodeSettings, RunnerSettings, Settings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.executor import VersionExecutor
from augurium.serving.loading import Loader
from augurium.serving.snapshot import DesiredVersion

NUMBER = TensorSpec("x", "FP64", (-1,))
ANSWER = TensorSpec("y", "FP64", (-1,))
SIGNATURE = Signature((NUMBER,), (ANSWER,))

Want = Callable[..., DesiredVersion]
LoadVersion = Callable[[DesiredVersion], VersionExecutor]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def want(tmp_path: Path) -> Want:
    """A version that is a Python function."""

    def make(
        function: Callable[[Any], Any], signature: Signature = SIGNATURE, **fields: Any
    ) -> DesiredVersion:
        file = tmp_path / f"function-{len(list(tmp_path.glob('function-*')))}"
        # the runner cannot import the tests
        if function.__module__.startswith("tests"):
            cloudpickle.register_pickle_by_value(sys.modules[function.__module__])
        file.write_bytes(cloudpickle.dumps(function))
        wanted = {"model": "twice", "version": 1, "digest": sha256_of_file(file), **fields}
        return DesiredVersion(runtime="python", path=str(file), signature=signature, **wanted)

    return make


@pytest.fixture
def request_timeout_s() -> float:
    """How long a run may take; tests in which one takes longer say less."""
    return 30.0


@pytest.fixture
def config(tmp_path: Path, request_timeout_s: float) -> NodeConfig:
    """A node whose runners do not linger."""
    settings = Settings(
        node=NodeSettings(home=str(tmp_path / "home")),
        limits=LimitSettings(request_timeout_s=request_timeout_s),
        runners=RunnerSettings(idle_s=2.0, load_timeout_s=60.0, liveness_s=30.0),
    )
    config = NodeConfig(settings, ("engine-0",))
    config.home.create()
    return config


@pytest.fixture
def left_a_note(config: NodeConfig) -> Callable[[str], bool]:
    """Whether a function has made a file of that name where it runs."""
    return lambda name: any(config.home.run.glob(f"runner-*/{name}"))


@pytest.fixture
def load_version(config: NodeConfig) -> Iterator[LoadVersion]:
    """Loads as an engine does; everything is let go in the end."""
    loaded: list[VersionExecutor] = []

    def load(desired: DesiredVersion) -> VersionExecutor:
        # a loader of its own for each: as if from different engines
        loaded.append(Loader(config).load(desired))
        return loaded[-1]

    yield load
    for executor in loaded:
        executor.close()


@pytest.fixture
def runners(config: NodeConfig) -> Callable[[], list[int]]:
    """The runners of this node that are alive."""
    home = str(config.home.run)

    def find() -> list[int]:
        return [
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if int(process.name) != os.getpid() and _works_in(process, home)
        ]

    return find


def _works_in(process: Path, folder: str) -> bool:
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        return str((process / "cwd").readlink()).startswith(folder)
    except OSError:
        return False
