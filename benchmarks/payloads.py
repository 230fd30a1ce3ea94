"""Binary tensors, large payloads and many rows: `python -m benchmarks.payloads`.

Measures Augurium against Triton in alternating rounds, and tables of many rows beside ONNX Runtime
alone. Writes benchmarks/results/payloads.json and payloads.md.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from augurium.core.errors import AuguriumError, NotReady
from benchmarks import payload_files
from benchmarks import workload as tabular
from benchmarks.arrow_load import AloneLoad, ArrowLoad, BesideLoad
from benchmarks.grpc_load import GrpcLoad
from benchmarks.load import Load, missing_packages
from benchmarks.machine import machine_facts, tool_versions
from benchmarks.payload_files import LINEAR, NATIVE, PayloadFiles
from benchmarks.payload_loads import BinaryLoad, WatchedLoad
from benchmarks.payload_peers import PayloadAugurium, PayloadTriton
from benchmarks.payload_tables import markdown
from benchmarks.peer import Peer, Place
from benchmarks.report import Report, save
from benchmarks.rounds import Pace, run_rounds
from benchmarks.run import BENCH, LOGS, RESULTS, prepared
from benchmarks.tuning import best_entries
from benchmarks.turn import only_one
from benchmarks.workload import MODEL

CONNECTIONS = (1, 16, 64)
ROUNDS, SECONDS = 3, 2.0
TUNING = Pace(rounds=1, seconds=1.0)
# 1 GiB ahead: a window must not be what is measured
WINDOW_BITS = 30


@dataclass(frozen=True)
class Loads:
    """What is sent, in the order of the tables."""

    small: list[Load]
    images: list[Load]
    arrow: list[Load]
    beside: Load

    def all(self) -> list[Load]:
        """Images first: what they leave behind would otherwise hide in what was there before."""
        return [*self.images, *self.small, *self.arrow, self.beside]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 when it was measured, 1 with a message when it could not be."""
    parser = argparse.ArgumentParser("benchmarks.payloads", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one load")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    chosen = parser.parse_args(arguments)
    try:
        with only_one(BENCH):
            report, text = _measure(Pace(chosen.rounds, chosen.seconds))
    except AuguriumError as error:
        print(f"benchmark stopped: {error}", file=sys.stderr)
        return 1
    save(report, RESULTS / "payloads.json")
    (RESULTS / "payloads.md").write_text(text)
    print((RESULTS / "payloads.json").read_text() if chosen.json else f"\n{text}")
    return 0


def _measure(pace: Pace) -> tuple[Report, str]:
    place = Place(BENCH, tabular.build(BENCH / "tabular"))
    files = payload_files.build(BENCH / "payloads", place.workload)
    loads = _loads(place, files)
    if missing := missing_packages([one for one in loads.all() if one.tool]):
        raise NotReady(f"load generators are missing; install: apt-get install {' '.join(missing)}")
    peers, left_out = prepared(_peers(place, files))
    entries = best_entries(peers, loads.all(), TUNING, place.workload, LOGS)
    report = Report(
        machine=machine_facts(),
        tools=tool_versions(),
        versions={peer.name: peer.versions() for peer in peers},
        rounds=pace.rounds,
        seconds=pace.seconds,
        loads=[load.name for load in loads.all()],
        left_out=left_out,
        results=run_rounds(entries, pace, place.workload, LOGS),
    )
    small, images, arrow = (
        [load.name for load in some] for some in (loads.small, loads.images, loads.arrow)
    )
    return report, markdown(report, small, images, arrow, loads.beside.name)


def _loads(place: Place, files: PayloadFiles) -> Loads:
    idle: dict[str, int] = {}
    images = GrpcLoad(files.image_message, 1, 1, WINDOW_BITS)
    rows = ArrowLoad(MODEL, "boosted classifier in ONNX Runtime")
    return Loads(
        small=[
            *(BinaryLoad(files.rows, connections) for connections in CONNECTIONS),
            *(GrpcLoad(files.row_message, connections, 1) for connections in CONNECTIONS),
        ],
        images=[
            WatchedLoad("REST", BinaryLoad(files.images, 1), idle),
            WatchedLoad("gRPC", images, idle),
        ],
        arrow=[
            rows,
            AloneLoad(place.workload, "the same in ONNX Runtime alone, no server"),
            ArrowLoad(NATIVE, "boosted classifier in XGBoost, in a runner"),
            ArrowLoad(LINEAR, "two weighted sums: the rate of the protocol"),
        ],
        beside=BesideLoad("single rows beside the first", BinaryLoad(files.rows, 1), rows),
    )


def _peers(place: Place, files: PayloadFiles) -> list[Peer]:
    return [
        PayloadAugurium(place, files=files),
        PayloadTriton(place, instances=1, batching=False),
        PayloadTriton(place, instances=1, batching=True, http_threads=2),
        PayloadTriton(place, instances=2, batching=True, http_threads=2),
    ]


if __name__ == "__main__":
    sys.exit(main())
