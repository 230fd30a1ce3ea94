"""What a node does now: every deployed version with its place in memory and its counters."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from augurium.control.engine_link import FAILED, READY
from augurium.control.engine_slots import EngineSlot
from augurium.control.link_hub import LinkHub
from augurium.core.accelerators import Accelerators
from augurium.serving.metrics import SECONDS_BOUNDS, EngineMetrics, VersionMetrics
from augurium.serving.placement import version_key
from augurium.serving.runner_suspects import Suspects
from augurium.serving.snapshot import VersionState

RESIDENT = "resident"
ASLEEP = "asleep"
SUSPECTED = "it may have ended a runner that it shared, and has one of its own"


class VersionActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed version.

    `state` is `loading`, `failed`, `resident` (in memory, in at least one engine) or `asleep` (on
    disk until it is asked for); `reason` says why it failed, or why it shares no runner any more.
    `engines` counts those that hold it, `resident_bytes` what it takes there, `replicas` its
    runners. The others are counters since the node started: `requests` by outcome, `latency`
    requests per bucket of `latency_bounds_s`.
    """

    model: str
    version: int
    default: bool
    state: str
    reason: str = ""
    pinned: bool = False
    engines: int = 0
    resident_bytes: int = 0
    replicas: int = 0
    load_s: float = 0.0
    loads: int = 0
    evictions: int = 0
    pending: int = 0
    last_inference_at: float = 0.0
    rows: int = 0
    runs: int = 0
    requests: dict[str, int] = {}
    latency: list[int] = []
    cache_hits: int = 0
    cache_misses: int = 0


class EngineActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One engine: CPU seconds it has used, its memory, what the versions in it take of its budget
    (0: no limit), and requests not yet answered.
    """

    engine: str
    pid: int
    connected: bool
    cpu_s: float = 0.0
    memory_bytes: int = 0
    resident_bytes: int = 0
    budget_bytes: int = 0
    pending: int = 0


class DeviceActivity(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator of the machine: its name for a policy, what it is, its memory and what all
    processes take of it, and the share of the last moments in which something ran there; None
    where the device does not say.
    """

    device: str
    name: str
    total_bytes: int
    used_bytes: int
    utilization: float | None = None


class Activity(msgspec.Struct, frozen=True):
    """A node at the moment `at`, in seconds of the epoch. Rates are differences of two of these."""

    at: float
    engines: list[EngineActivity]
    versions: list[VersionActivity]
    latency_bounds_s: tuple[float, ...] = SECONDS_BOUNDS
    devices: list[DeviceActivity] = []


async def activity(
    hub: LinkHub, sees: Callable[[str], bool], accelerators: Accelerators, suspects: Suspects
) -> Activity:
    """What the engines and the devices say now, of the models that are seen."""
    totals = await hub.collect()
    alone = suspects.proven()
    counted = {(version.model, version.version): version for version in totals.versions}
    states = _states(link.applied.states for link in hub.links())
    versions = [
        _version(
            counted.get((model.name, desired.version))
            or VersionMetrics(model.name, desired.version),
            states.get((model.name, desired.version), ()),
            model.default_version == desired.version,
            SUSPECTED if alone and version_key(desired) in alone else "",
        )
        for model in hub.snapshot.models
        for desired in model.versions
        if sees(model.name)
    ]
    devices = [
        DeviceActivity(
            device=f"cuda:{reading.number}",
            name=reading.name,
            total_bytes=reading.total_bytes,
            used_bytes=reading.used_bytes,
            utilization=reading.utilization,
        )
        for reading in await asyncio.to_thread(accelerators.read)
    ]
    engines = [_engine(slot) for slot in hub.slots()]
    return Activity(time.time(), engines, versions, devices=devices)


def _states(
    reports: Iterable[Sequence[VersionState]],
) -> dict[tuple[str, int], list[VersionState]]:
    found: dict[tuple[str, int], list[VersionState]] = {}
    for report in reports:
        for state in report:
            found.setdefault((state.model, state.version), []).append(state)
    return found


def _version(
    metrics: VersionMetrics, states: Sequence[VersionState], default: bool, remark: str
) -> VersionActivity:
    state = RESIDENT if metrics.resident else ASLEEP
    reason = metrics.problem or remark
    for told in states:
        if told.state != READY and state != FAILED:
            state, reason = told.state, told.reason
    return VersionActivity(
        model=metrics.model,
        version=metrics.version,
        default=default,
        state=state,
        reason=reason,
        pinned=metrics.pinned,
        engines=metrics.resident,
        resident_bytes=metrics.resident_bytes,
        replicas=len(metrics.runner_pids),
        load_s=metrics.load_s,
        loads=metrics.loads,
        evictions=metrics.evictions,
        pending=metrics.pending,
        last_inference_at=metrics.last_inference_at,
        rows=metrics.rows,
        runs=metrics.executions,
        requests=metrics.outcomes,
        latency=metrics.request_s.counts,
        cache_hits=metrics.cache_hits,
        cache_misses=metrics.cache_misses,
    )


def _engine(slot: EngineSlot) -> EngineActivity:
    counters = slot.link.counters if slot.link else EngineMetrics()
    return EngineActivity(
        engine=slot.hello.engine,
        pid=slot.hello.pid,
        connected=slot.link is not None,
        cpu_s=counters.cpu_s,
        memory_bytes=counters.memory_bytes,
        resident_bytes=sum(version.resident_bytes for version in counters.versions),
        budget_bytes=counters.budget_bytes,
        pending=sum(version.pending for version in counters.versions),
    )
