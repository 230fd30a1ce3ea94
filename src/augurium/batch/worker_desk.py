"""What a worker does about each order. Imports pyarrow."""

import shutil
from collections.abc import Callable
from pathlib import Path

from augurium.batch.job_tools import JobTools
from augurium.batch.left_out import leave_out
from augurium.batch.native_file import write_native
from augurium.batch.worker_messages import (
    Convert,
    Converted,
    Done,
    Import,
    Load,
    Measure,
    Note,
    Order,
    Probe,
    Reply,
    Score,
    Scored,
)
from augurium.core.errors import InvalidArgument
from augurium.runtimes.runtime import prepare


class WorkerDesk:
    """Answers orders, one at a time. `tell` takes what is to be said meanwhile."""

    def __init__(self, tell: Callable[[Note], None]) -> None:
        self._tell = tell
        self._tools: JobTools | None = None

    def answer(self, order: Order) -> Reply:
        """Carries an order out. Raises what goes wrong."""
        match order:
            case Import():
                leave_out(order.runtime)
                prepare(order.runtime)
            case Convert():
                source, folder = Path(order.source), Path(order.folder)
                path, options = write_native(order.runtime, source, folder)
                return Converted(str(path), options)
            case Load():
                self._tools = JobTools(order)
                if order.scratch:
                    # of a worker that is confined, the empty folder stays
                    shutil.rmtree(order.scratch, ignore_errors=True)
            case Measure():
                return self._loaded.measure(order.partition, self._tell)
            case Score(partition, batch_size, deadly):
                return Scored(self._loaded.score(partition, batch_size, deadly, self._tell))
            case Probe():
                self._loaded.probe(order, self._tell)
            case _:
                raise InvalidArgument(f"a worker does not do {type(order).__name__}")
        return Done()

    def leave(self) -> None:
        """Nobody else does anything for it."""

    @property
    def _loaded(self) -> JobTools:
        if self._tools is None:
            raise InvalidArgument("the model of the job has not been loaded yet")
        return self._tools
