"""The workers of a job: processes that start early, load the same model, and are replaced."""

import asyncio
from collections.abc import Callable

import msgspec

from augurium.batch.worker_messages import Counted, Import, Load, Order, Reply
from augurium.batch.worker_process import WorkerDied, WorkerProcess
from augurium.batch.worker_start import Confinement, WorkerStart
from augurium.core.errors import ModelFailed

# of an order that a worker does not die of, by itself and from outside
MOST_DEATHS = 3
MOST_KILLS = 20


class PooledWorker:
    """A place for a worker. The process in it loads the job's model before its first order."""

    def __init__(self, how: WorkerStart) -> None:
        self._how = how
        self._process = WorkerProcess(how)
        self._load: Callable[[], Load] | None = None
        self._is_loaded = False

    async def start(self) -> None:
        """Starts a process, which has nothing to do yet."""
        await self._process.start()

    def prepare(self, load: Callable[[], Load]) -> None:
        """What says what is to be loaded, to whatever process comes."""
        self._load = load
        self._is_loaded = False

    async def ask(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
        """The answer to an order. After WorkerDied there is another process.

        Raises ModelFailed when the model cannot be loaded, and what the worker says went wrong.
        """
        if self._load is not None and not self._is_loaded:
            await self.ask_again(self._load())
            self._is_loaded = True
        return await self._once(order, heard)

    async def ask_again(self, order: Order) -> Reply:
        """The answer to an order that a worker does not die of, though somebody may kill it.

        Raises ModelFailed when it dies all the same, and what the worker says went wrong.
        """
        deaths = kills = 0
        while True:
            try:
                return await self._once(order)
            except WorkerDied as died:
                deaths, kills = deaths + 1, kills + died.from_outside
                if deaths - kills >= MOST_DEATHS or kills >= MOST_KILLS:
                    raise ModelFailed(
                        f"the process that loads the model ended ({died.how}), {deaths} times; see"
                        " what the log of the node says of it, and whether memory is short"
                    ) from died

    async def end(self) -> None:
        """Ends the process, whatever it is at."""
        await self._process.end()

    async def _once(self, order: Order, heard: Callable[[Counted], None] | None = None) -> Reply:
        try:
            return await self._process.ask(order, heard)
        except WorkerDied:
            await self._replace()
            raise

    async def _replace(self) -> None:
        await self._process.end()
        self._is_loaded = False
        self._process = WorkerProcess(self._how)
        await self._process.start()


class WorkerPool:
    """All workers of a job."""

    def __init__(self, how: WorkerStart) -> None:
        self._how = how
        self.workers: list[PooledWorker] = []
        self.load: Load | None = None

    @property
    def how(self) -> WorkerStart:
        """How its workers begin."""
        return self._how

    async def resize(self, number: int) -> None:
        """Starts workers, or ends those that are too many."""
        added = [PooledWorker(self._how) for _ in range(number - len(self.workers))]
        surplus = self.workers[number:]
        self.workers = [*self.workers[:number], *added]
        await asyncio.gather(
            *(worker.start() for worker in added), *(worker.end() for worker in surplus)
        )

    async def confine(self, confinement: Confinement) -> None:
        """Has all workers begin again, confined; what they have loaded they have to load again."""
        number = len(self.workers)
        await self.resize(0)
        self._how = msgspec.structs.replace(self._how, confinement=confinement)
        await self.resize(number)

    async def import_runtime(self, runtime: str) -> None:
        """Has all workers import what the model needs, while it is found what there is to do."""
        orders = (worker.ask_again(Import(runtime)) for worker in self.workers)
        await asyncio.gather(*orders)

    def prepare(self, load: Load) -> None:
        """What all of them are to load, and whoever else scores partitions of the job."""
        self.load = load
        for worker in self.workers:
            worker.prepare(lambda: load)

    async def close(self) -> None:
        """Ends all of them."""
        await self.resize(0)
