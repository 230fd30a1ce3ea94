"""The side-by-side benchmark: `python -m benchmarks.run` from the root of the checkout.

Measures Augurium, its peers and the ceilings of its hosts on the same model and the same bytes, one
server at a time in alternating rounds. A full run writes benchmarks/results/tabular.json and
tabular.md; a quick or partial one writes into .bench/results.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from augurium.core.errors import AuguriumError, NotReady
from benchmarks import workload as tabular
from benchmarks.augurium_peer import Augurium
from benchmarks.ceilings import GranianCeiling
from benchmarks.fastapi_peer import FastApi
from benchmarks.grpc_load import GrpcLoad
from benchmarks.load import Load, missing_packages
from benchmarks.machine import machine_facts, tool_versions
from benchmarks.mosec_peer import Mosec
from benchmarks.open_load import OpenLoad
from benchmarks.peer import Peer, Place
from benchmarks.report import Report, read, save
from benchmarks.rest_load import RestLoad
from benchmarks.rounds import Entry, Pace, run_rounds
from benchmarks.tables import markdown
from benchmarks.triton import Triton
from benchmarks.tuning import best_entries, known_entries
from benchmarks.turn import only_one

ROOT = Path(__file__).parent.parent
BENCH = ROOT / ".bench"
LOGS = BENCH / "logs"
RESULTS = Path(__file__).parent / "results"
CONNECTIONS = (1, 16, 64, 256)
FULL, QUICK = Pace(rounds=5, seconds=5.0), Pace(rounds=2, seconds=1.0)
TUNING, QUICK_TUNING = Pace(rounds=2, seconds=2.0), Pace(rounds=1, seconds=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 when it was measured, 1 with a message when it could not be."""
    chosen = _parse(arguments)
    try:
        with only_one(BENCH):
            report = _measure(chosen)
    except AuguriumError as error:
        print(f"benchmark stopped: {error}", file=sys.stderr)
        return 1
    folder = BENCH / "results" if chosen.quick or chosen.only else RESULTS
    save(report, folder / "tabular.json")
    text = markdown(report)
    (folder / "tabular.md").write_text(text)
    print(f"\n{text}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.run", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds, settings of the last full run"
    )
    parser.add_argument("--rounds", type=int, help=f"default {FULL.rounds}")
    parser.add_argument("--seconds", type=float, help=f"of one load; default {FULL.seconds:g}")
    parser.add_argument("--only", nargs="+", metavar="SERVER", help="such as Augurium Triton")
    return parser.parse_args(arguments)


def _measure(chosen: argparse.Namespace) -> Report:
    print("preparing the workload ...", flush=True)
    place = Place(BENCH, tabular.build(BENCH / "tabular"))
    loads = _loads(place)
    if missing := missing_packages(loads):
        raise NotReady(f"load generators are missing; install: apt-get install {' '.join(missing)}")
    default = QUICK if chosen.quick else FULL
    pace = Pace(chosen.rounds or default.rounds, chosen.seconds or default.seconds)
    peers, left_out = prepared(_chosen(_peers(place), chosen.only))
    if not peers:
        raise NotReady(f"no server can be measured: {left_out}")
    entries = _entries(chosen, peers, loads, place)
    print(f"measuring {pace.rounds} rounds ...", flush=True)
    return Report(
        machine=machine_facts(),
        tools=tool_versions(),
        versions={peer.name: peer.versions() for peer in peers},
        rounds=pace.rounds,
        seconds=pace.seconds,
        loads=[load.name for load in loads],
        left_out=left_out,
        results=run_rounds(entries, pace, place.workload, LOGS),
    )


def _entries(
    chosen: argparse.Namespace, peers: Sequence[Peer], loads: Sequence[Load], place: Place
) -> list[Entry]:
    """A full run looks for each server's best settings; a quick one takes those found last."""
    found = RESULTS / "tabular.json"
    if chosen.quick and found.exists():
        return known_entries(peers, loads, read(found))
    print("finding each server's best settings ...", flush=True)
    tuning = QUICK_TUNING if chosen.quick else TUNING
    return best_entries(peers, loads, tuning, place.workload, LOGS)


def _loads(place: Place) -> list[Load]:
    closed = [RestLoad(place.workload, connections) for connections in CONNECTIONS]
    return [*closed, GrpcLoad(place.workload.message), OpenLoad(place.workload, place.bench)]


def _peers(place: Place) -> list[Peer]:
    """Everything that takes part; settings of one server stand together."""
    return [
        Augurium(place),
        Triton(place, instances=1, batching=False),
        Triton(place, instances=2, batching=False),
        Triton(place, instances=1, batching=True),
        Triton(place, instances=2, batching=True),
        Triton(place, instances=1, batching=True, http_threads=2),
        Triton(place, instances=2, batching=True, http_threads=2),
        Triton(place, instances=2, batching=True, delay_us=1000),
        Mosec(place, processes=2, batch=1, wait_ms=0),
        Mosec(place, processes=2, batch=8, wait_ms=1),
        Mosec(place, processes=2, batch=32, wait_ms=1),
        Mosec(place, processes=2, batch=64, wait_ms=1),
        FastApi(place, body="typed"),
        FastApi(place, body="raw"),
        GranianCeiling(place),
    ]


def _chosen(peers: Sequence[Peer], names: Sequence[str] | None) -> list[Peer]:
    if names is None:
        return list(peers)
    wanted = [name.casefold() for name in names]
    found = [peer for peer in peers if any(name in peer.name.casefold() for name in wanted)]
    if not found:
        known = ", ".join(dict.fromkeys(peer.name for peer in peers))
        raise NotReady(f"no server is called {' or '.join(names)}; known are {known}")
    return found


def prepared(peers: Sequence[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can run, and why the others cannot."""
    ready, left_out = [], {}
    for peer in peers:
        try:
            peer.prepare()
            ready.append(peer)
        except NotReady as error:
            left_out[peer.name] = str(error).splitlines()[0]
            print(f"{peer.name} is left out: {error}", file=sys.stderr, flush=True)
    return ready, left_out


if __name__ == "__main__":
    sys.exit(main())
