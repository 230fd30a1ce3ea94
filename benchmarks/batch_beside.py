"""What a batch job takes from the predictions of the same machine.

    python -m benchmarks.batch_beside [--rounds 5] [--seconds 5] [--rate 1000] [--rows 5000000]

One node with an engine and the model "tabular", which is asked on a schedule (Poisson arrivals over
REST), first alone and then while a batch job scores rows on every core with another model; in turn,
for a number of rounds. The aim is that the 99th percentile grows by half at most. What the job did
meanwhile is told as rows a second. Callers have real-time priority where they may, since they stand
for other machines; where they may not, their own delays count as the node's.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec

from augurium.core.errors import Conflict
from benchmarks import workload as tabular
from benchmarks.batch_data import model_file, parquet_folder
from benchmarks.batch_job import LOOK_S, JobNode
from benchmarks.load import Figures
from benchmarks.open_load import OpenLoad
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save


class Round(msgspec.Struct, frozen=True):
    """The same load alone and beside a job, and how fast the job was meanwhile."""

    alone: Figures
    beside: Figures
    rows_per_s: float


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.batch_beside", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    chosen = parser.parse_args()
    return print_and_save("batch_beside", lambda: _measured(chosen))


def _measured(chosen: argparse.Namespace) -> Mapping[str, object]:
    folder = BENCH / "batch"
    rows = parquet_folder(folder, chosen.rows)
    workload = tabular.build(BENCH / "tabular")
    at_once = OpenLoad.can_be_at_once()
    load = OpenLoad(workload, BENCH, rate=chosen.rate, at_once=at_once)
    shutil.rmtree(folder / "node", ignore_errors=True)
    with JobNode(folder / "node", model_file(folder)) as node:
        node.serve(workload.ubj, tabular.MODEL)
        # a process that has just started is slow at first
        load.send_to(node.rest_port, chosen.seconds)
        rounds = [
            _round(node, load, rows, folder / f"answers-{number}", chosen.seconds)
            for number in range(chosen.rounds)
        ]
    ratios = [round(one.beside.p99_ms / one.alone.p99_ms, 2) for one in rounds]
    return {
        "settings": vars(chosen) | {"callers_at_once": at_once},
        "p99_alone_ms": median(one.alone.p99_ms for one in rounds),
        "p99_beside_ms": median(one.beside.p99_ms for one in rounds),
        "p50_alone_ms": median(one.alone.p50_ms for one in rounds),
        "p50_beside_ms": median(one.beside.p50_ms for one in rounds),
        "p99_ratio": median(ratios),
        "p99_ratios": ratios,
        "failed": sum(one.beside.failed for one in rounds),
        "job_rows_per_s": round(median(one.rows_per_s for one in rounds)),
    }


def _round(node: JobNode, load: OpenLoad, rows: Path, output: Path, seconds: float) -> Round:
    alone = load.send_to(node.rest_port, seconds)
    job = node.begin(rows, output)
    before, began = job.refresh().progress.read_rows, time.monotonic()
    beside = load.send_to(node.rest_port, seconds)
    done = job.refresh()
    took = time.monotonic() - began
    # it may end before it is told to
    with suppress(Conflict):
        job.cancel()
    for _ in job.looks(LOOK_S):
        pass
    shutil.rmtree(output, ignore_errors=True)
    return Round(alone, beside, (done.progress.read_rows - before) / took)


if __name__ == "__main__":
    sys.exit(main())
