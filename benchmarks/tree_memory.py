"""The most memory that processes and all their descendants have at a time, shared pages once."""

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import psutil

EVERY_S = 0.25
MIB = 2**20


class TreeMemory:
    """Looks at the processes that `leaders` finds, again and again; a context manager.

    `peak_mib` is the largest sum of their proportional set sizes (PSS).
    """

    def __init__(self, leaders: Callable[[], Iterable[psutil.Process]]) -> None:
        self._leaders = leaders
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mib = 0.0

    def __enter__(self) -> "TreeMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                family = _family(self._leaders())
            except psutil.NoSuchProcess:
                # a leader ended meanwhile
                continue
            pss = sum(_pss(process) for process in family)
            self.peak_mib = max(self.peak_mib, pss / MIB)


def _family(leaders: Iterable[psutil.Process]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for leader in leaders:
        try:
            for process in (leader, *leader.children(recursive=True)):
                found[process.pid] = process
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        # it ended meanwhile
        return 0
