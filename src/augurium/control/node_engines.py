"""The engines a node shall have, as its supervisor says, who alone starts and stops them."""

import time
from collections import Counter, deque
from collections.abc import Iterable

from augurium.control.engine_link import EngineLink
from augurium.control.link_hub import LinkHub
from augurium.control.supervision import EngineReading, EngineState, Report, Scaling
from augurium.core.home import NodeConfig
from augurium.scaling.scaler import LOGGED, LoggedDecision


class NodeEngines:
    """What the supervisor reported last; until then, what the node was started with."""

    def __init__(self, node: NodeConfig, hub: LinkHub) -> None:
        self._hub = hub
        self._states: dict[str, EngineState] = dict.fromkeys(node.engines, "serving")
        self._scaled = node.settings.scaling.enabled
        self._reported_at: float | None = None
        self._scaling = Scaling()
        self._log: deque[LoggedDecision] = deque(maxlen=LOGGED)

    @property
    def expected(self) -> tuple[str, ...]:
        """The slots whose engines must serve for the node to be ready. One that was added under
        load counts from when it first does; one that leaves does not count.
        """
        return tuple(slot for slot, state in self._states.items() if state == "serving")

    @property
    def states(self) -> dict[str, EngineState]:
        """Every slot that has a process, and where that stands."""
        return dict(self._states)

    @property
    def counts(self) -> Counter[str]:
        """How many slots there are of each state."""
        return Counter(self._states.values())

    @property
    def known(self) -> bool:
        """Whether the present number is known: it is only reported where it can change."""
        return self._reported_at is not None or not self._scaled

    @property
    def scaling(self) -> Scaling:
        """The newest decision and the counts; the log is `log`."""
        return self._scaling

    @property
    def log(self) -> list[LoggedDecision]:
        """What was decided, oldest first."""
        return list(self._log)

    @property
    def decisions_known(self) -> int:
        """The number of the newest decision in the log."""
        return self._log[-1].number if self._log else 0

    def reported_s_ago(self) -> float | None:
        """How old the last report is; None where nothing changes."""
        return (
            None
            if self._reported_at is None or not self._scaled
            else time.monotonic() - self._reported_at
        )

    def take(self, report: Report) -> None:
        """Believes a report of the supervisor; slots it has no more are given up when their links
        are closed.
        """
        self._reported_at = time.monotonic()
        self._states = dict(report.engines)
        if report.scaling is not None:
            self._scaling = report.scaling
            known = self.decisions_known
            self._log.extend(entry for entry in report.scaling.log if entry.number > known)
        for slot in self._hub.slots():
            if slot.link is None and slot.hello.engine not in self._states:
                self._hub.retire(slot.hello.engine)
        self._hub.wake()

    def readings(self) -> tuple[EngineReading, ...]:
        """What the connected engines counted, of those that counted at all."""
        return tuple(self._read(self._hub.links()))

    def _read(self, links: Iterable[EngineLink]) -> Iterable[EngineReading]:
        now = time.monotonic()
        for link in links:
            if link.counted_at is None:
                continue
            versions, unrouted = link.counters.versions, link.counters.unrouted
            yield EngineReading(
                slot=link.hello.engine,
                pid=link.hello.pid,
                ready=link.has_applied(self._hub.snapshot),
                age_s=now - link.counted_at,
                requests=sum(sum(version.outcomes.values()) for version in versions)
                + sum(unrouted.values()),
                queued=sum(version.queue_s.count for version in versions),
                queue_s=sum(version.queue_s.total for version in versions),
                cpu_s=link.counters.cpu_s,
                in_flight=sum(version.pending for version in versions),
            )
