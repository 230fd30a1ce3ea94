"""Which setting of each peer is its best under each load: a short measurement of all of them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.load import Load
from benchmarks.peer import Peer
from benchmarks.report import Report
from benchmarks.rounds import Entry, Pace, Result, run_rounds
from benchmarks.workload import Workload


def best_entries(
    peers: Sequence[Peer], loads: Sequence[Load], pace: Pace, workload: Workload, logs: Path
) -> list[Entry]:
    """Each peer with the loads it is to be measured under, in the order given.

    Of several settings of one server, a load goes to the one with the best single result over the
    rounds of `pace`: in doubt for the peer.
    """
    entries: list[Entry] = []
    for _, group in groupby(peers, key=lambda peer: peer.name):
        candidates = [Entry(peer, _spoken(peer, loads)) for peer in group]
        if len(candidates) > 1:
            results = run_rounds(candidates, pace, workload, logs)
            best = {load.name: _winner(load, results) for load in candidates[0].loads}
            candidates = _won(candidates, best)
        entries += candidates
    return entries


def known_entries(peers: Sequence[Peer], loads: Sequence[Load], report: Report) -> list[Entry]:
    """The same from an earlier report; a load it does not know goes to a server's first setting."""
    entries: list[Entry] = []
    for name, group in groupby(peers, key=lambda peer: peer.name):
        candidates = [Entry(peer, _spoken(peer, loads)) for peer in group]
        first = candidates[0].peer.setting
        best = {load.name: report.setting(name, load.name) or first for load in loads}
        entries += _won(candidates, best)
    return entries


def _spoken(peer: Peer, loads: Iterable[Load]) -> tuple[Load, ...]:
    return tuple(load for load in loads if load.protocol in peer.protocols)


def _won(candidates: Iterable[Entry], best: Mapping[str, str]) -> list[Entry]:
    """The settings that are the best at something; `best` is load to setting."""
    entries = []
    for entry in candidates:
        won = tuple(load for load in entry.loads if best[load.name] == entry.peer.setting)
        if won:
            entries.append(Entry(entry.peer, won))
    return entries


def _winner(load: Load, results: Iterable[Result]) -> str:
    of_load = [result for result in results if result.load == load.name]
    return max(of_load, key=lambda result: load.score(result.measurement)).setting
