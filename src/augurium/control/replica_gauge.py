"""What the replicas of a model do, from counters and processes: differences between two looks."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from augurium.core.accelerators import Reading as Device
from augurium.core.process_stat import stat_fields
from augurium.scaling.observation import Observation
from augurium.serving.metrics import VersionMetrics

# counters that are younger than this against the last ones tell too little
SHORTEST_S = 0.2

CpuSeconds = Callable[[int], float | None]


class ReplicaReading(NamedTuple):
    """Sums over the versions of one model, as they were at `at` (monotonic seconds)."""

    at: float
    requests: int
    queued: int
    queue_s: float
    in_flight: int
    pids: tuple[int, ...]


def reading(at: float, versions: Iterable[VersionMetrics]) -> ReplicaReading:
    """What the versions in runners of one model have counted."""
    found = list(versions)
    return ReplicaReading(
        at,
        sum(sum(version.outcomes.values()) for version in found),
        sum(version.queue_s.count for version in found),
        sum(version.queue_s.total for version in found),
        sum(version.pending for version in found),
        tuple(sorted({pid for version in found for pid in version.runner_pids})),
    )


def cpu_seconds(pid: int) -> float | None:
    """The CPU time of a process, all threads; None if it is gone. On Linux."""
    try:
        fields = stat_fields(Path("/proc") / str(pid))
        # proc_pid_stat(5): fields 14 and 15, utime and stime, of which the first two are cut off
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


class ReplicaGauge:
    """Remembers what was read of one model last."""

    def __init__(self, cpu: CpuSeconds = cpu_seconds) -> None:
        self._cpu = cpu
        self._last: ReplicaReading | None = None
        self._cpu_last: dict[int, float] = {}
        self._seen: Observation | None = None

    def observe(self, new: ReplicaReading, devices: Sequence[Device] = ()) -> Observation | None:
        """What its replicas did since the last reading, and how busy those `devices` are that they
        use; None after the first.
        """
        old = self._last
        if old is not None and new.at - old.at < SHORTEST_S:
            return self._seen
        used = {pid: seconds for pid in new.pids if (seconds := self._cpu(pid)) is not None}
        before, self._cpu_last, self._last = self._cpu_last, used, new
        if old is None:
            return None
        seconds = new.at - old.at
        queued = max(0, new.queued - old.queued)
        self._seen = Observation(
            at=new.at,
            measured=len(new.pids),
            request_rate=max(0, new.requests - old.requests) / seconds,
            in_flight=float(new.in_flight),
            queue_delay_s=max(0.0, new.queue_s - old.queue_s) / queued if queued else 0.0,
            cpu_utilization=_cpu_utilization(before, used, seconds),
            gpu_utilization=_gpu_utilization(new.pids, devices),
        )
        return self._seen


def _gpu_utilization(pids: Sequence[int], devices: Sequence[Device]) -> float | None:
    """The mean of the devices on which these processes have memory; None where none says."""
    shares = [
        device.utilization
        for device in devices
        if device.utilization is not None and not device.process_bytes.keys().isdisjoint(pids)
    ]
    return sum(shares) / len(shares) if shares else None


def _cpu_utilization(
    before: dict[int, float], used: dict[int, float], seconds: float
) -> float | None:
    """The mean of those that were there before as well; 0 where none is there."""
    if not used:
        return 0.0
    shares = [(used[pid] - before[pid]) / seconds for pid in used if pid in before]
    return max(0.0, sum(shares) / len(shares)) if shares else None
