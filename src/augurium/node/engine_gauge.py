"""What engines do, from the counters they report: differences between two reports."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from augurium.control.supervision import EngineReading
from augurium.scaling.observation import Observation

# counters that are younger than this against the last ones tell too little
SHORTEST_S = 0.2


class _Mark(NamedTuple):
    at: float
    reading: EngineReading


class _Work(NamedTuple):
    """What one engine did between two reports, per second; `queued` requests waited `queue_s`."""

    at: float
    request_rate: float
    cpu: float
    queued: int
    queue_s: float


class EngineGauge:
    """Remembers what each engine reported last. A process that is new begins anew."""

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}
        self._work: dict[str, _Work] = {}

    def observe(
        self,
        readings: Iterable[EngineReading],
        processes: Mapping[str, int],
        at: float,
        stale_s: float,
    ) -> Observation | None:
        """What the engines that serve are doing; None while nothing of them is known.

        `processes` are their process ids by slot. One whose last word is older than `stale_s` does
        not count.
        """
        heard = {
            reading.slot: reading
            for reading in readings
            if processes.get(reading.slot) == reading.pid and reading.age_s <= stale_s
        }
        for slot in self._marks.keys() - heard.keys():
            self._marks.pop(slot)
            self._work.pop(slot, None)
        for slot, reading in heard.items():
            self._take(slot, _Mark(at - reading.age_s, reading))
        if not self._work:
            return None
        work = list(self._work.values())
        queued = sum(one.queued for one in work)
        return Observation(
            at=min(one.at for one in work),
            measured=len(work),
            request_rate=sum(one.request_rate for one in work),
            in_flight=float(sum(heard[slot].in_flight for slot in self._work)),
            queue_delay_s=sum(one.queue_s for one in work) / queued if queued else 0.0,
            cpu_utilization=sum(one.cpu for one in work) / len(work),
        )

    def _take(self, slot: str, mark: _Mark) -> None:
        before = self._marks.get(slot)
        if before is None or before.reading.pid != mark.reading.pid:
            self._marks[slot] = mark
            self._work.pop(slot, None)
            return
        seconds = mark.at - before.at
        if seconds < SHORTEST_S:
            return
        new, old = mark.reading, before.reading
        self._marks[slot] = mark
        self._work[slot] = _Work(
            mark.at,
            max(0, new.requests - old.requests) / seconds,
            max(0.0, new.cpu_s - old.cpu_s) / seconds,
            max(0, new.queued - old.queued),
            max(0.0, new.queue_s - old.queue_s),
        )
