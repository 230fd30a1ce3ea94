"""An executor that comes and goes with its version's place in memory."""

from collections.abc import Sequence
from concurrent.futures import Executor as ThreadPool

from augurium.core.errors import Internal
from augurium.core.tensors import Array
from augurium.serving.executor import Recording, VersionExecutor


class SleepingExecutor:
    """Stands for another executor, which may be there or not. No run may come while it is not."""

    threads: ThreadPool | None = None
    restarts = 0

    def __init__(self) -> None:
        self._executor: VersionExecutor | None = None

    def wake(self, executor: VersionExecutor) -> None:
        """Runs with this from now on."""
        self._executor = executor

    def sleep(self) -> None:
        """Lets go of what it ran with."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return self._awake().run(inputs)

    def run_unrecorded(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Recording`."""
        executor = self._awake()
        if isinstance(executor, Recording):
            return executor.run_unrecorded(inputs)
        return executor.run(inputs)

    def _awake(self) -> VersionExecutor:
        if self._executor is None:
            raise Internal("a version ran that is not in memory")
        return self._executor

    def expected_s(self, rows: int) -> float:
        return float("inf") if self._executor is None else self._executor.expected_s(rows)

    def close(self) -> None:
        self.sleep()
