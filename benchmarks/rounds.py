"""The order of a measurement: one server at a time, and all of them again in every round."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.answers import check
from benchmarks.load import Load, Measurement, measure
from benchmarks.peer import Peer
from benchmarks.server import RunningServer
from benchmarks.workload import Workload

WARMUP_SHARE = 0.4
LEAST_WARMUP_S = 1.0


@dataclass(frozen=True)
class Entry:
    """A peer in one setting, and the loads it is measured under."""

    peer: Peer
    loads: tuple[Load, ...]


class Result(msgspec.Struct, frozen=True):
    """One load on one server in one round."""

    round: int
    server: str
    setting: str
    load: str
    measurement: Measurement


@dataclass(frozen=True)
class Pace:
    """How many rounds, and how long each load lasts."""

    rounds: int
    seconds: float


def run_rounds(
    entries: Sequence[Entry], pace: Pace, workload: Workload, logs: Path
) -> list[Result]:
    """Measures the entries in turn, A B C A B C ...; answers are checked at every start.

    Raises ModelFailed when a server answers wrongly and NotReady when one does not start.
    """
    results: list[Result] = []
    for number in range(1, pace.rounds + 1):
        for entry in entries:
            results += _measure_entry(entry, number, pace, workload, logs)
    return results


def _measure_entry(
    entry: Entry, number: int, pace: Pace, workload: Workload, logs: Path
) -> list[Result]:
    peer, results = entry.peer, []
    warmup_s = max(LEAST_WARMUP_S, WARMUP_SHARE * pace.seconds)
    with RunningServer(peer, logs, workload) as server:
        if peer.predicts:
            check(server, workload)
        for load in entry.loads:
            measurement = measure(load, server, warmup_s, pace.seconds)
            results.append(Result(number, peer.name, peer.setting, load.name, measurement))
            print(f"  {number}: {line(results[-1])}", flush=True)
    return results


def line(result: Result) -> str:
    """One result for a person who waits."""
    figures = result.measurement.figures
    failed = f", {figures.failed} FAILED" if figures.failed else ""
    return (
        f"{result.server} ({result.setting}), {result.load}: "
        f"{result.measurement.rate:,.0f}/s, p99 {figures.p99_ms:.2f} ms{failed}"
    )
