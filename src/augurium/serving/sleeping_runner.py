"""An executor whose runner comes and goes with its version's place in memory."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from augurium.core.errors import Internal
from augurium.core.tensors import Array
from augurium.serving.executor import VersionExecutor
from augurium.serving.memory_budget import Base
from augurium.serving.replicated_runner import ReplicatedRunner
from augurium.serving.runner_executor import RUNS_AHEAD
from augurium.serving.sleeping_executor import SleepingExecutor


class SleepingRunner(SleepingExecutor):
    """Stands for a version in its runner, which may be there or not. No run may come while it is
    not. `engines` is by how many of them its memory is shared.
    """

    def __init__(self, engines: int) -> None:
        super().__init__()
        self._engines = engines
        self._runner: ReplicatedRunner | None = None
        self._replicas = 1
        self._exits: dict[str, int] = {}
        # of runners that this one had before
        self._restarts = 0

    @property
    def runs_ahead(self) -> int:
        return self._runner.runs_ahead if self._runner else RUNS_AHEAD

    @property
    def pids(self) -> list[int]:
        """See `Replicated`."""
        return self._runner.pids if self._runner else []

    def set_replicas(self, number: int) -> None:
        """See `Replicated`; while it sleeps, this is for when it wakes."""
        self._replicas = max(1, number)
        if self._runner is not None:
            self._runner.set_replicas(self._replicas)

    @property
    def restarts(self) -> int:  # type: ignore[override]
        return self._restarts + (self._runner.restarts if self._runner else 0)

    @property
    def memory_bytes(self) -> int:
        """This engine's part of what the version takes."""
        return self._runner.memory_bytes // self._engines if self._runner else 0

    @property
    def base(self) -> Base | None:
        """This engine's part of what the runner takes beside its versions, where it has several."""
        found = self._runner.base if self._runner else None
        return Base(found.name, found.size_bytes // self._engines) if found else None

    @property
    def device_bytes(self) -> int:
        """This engine's part of what the runner takes of its device."""
        return self._runner.device_bytes // self._engines if self._runner else 0

    def wake(self, executor: VersionExecutor) -> None:
        super().wake(executor)
        if isinstance(executor, ReplicatedRunner):
            executor.count_exits_in(self._exits)
            self._runner = executor
            executor.set_replicas(self._replicas)

    def sleep(self) -> None:
        self._restarts, self._runner = self.restarts, None
        super().sleep()

    def count_exits_in(self, exits: dict[str, int]) -> None:
        """See `ExitCounter`."""
        self._exits = exits
        if self._runner is not None:
            self._runner.count_exits_in(exits)

    def begin(
        self,
        inputs: Sequence[Array],
        parameters: Mapping[str, Any],
        deadline: float,
        done: Callable[[list[Array] | Exception], None],
    ) -> None:
        """See `AsyncExecutor.begin`."""
        if self._runner is None:
            error = Internal("a version ran that is not in memory")
            asyncio.get_running_loop().call_soon(done, error)
            return
        self._runner.begin(inputs, parameters, deadline, done)
