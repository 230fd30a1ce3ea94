"""How fast rows of files become answers in files, beside others who do the same.

    python -m benchmarks.batch [--rows 10000000] [--rounds 3] [--csv-rows 1000000]
                               [--memory 1 5 20 50] [--only floor augurium pandas ray]

Rows of 50 floats in Parquet, an XGBoost model of 100 trees of depth 6, answers in Parquet, two
cores. In every round, in the other order each time: the bare predict calls on one array that is in
memory (the floor, which reads and writes nothing), a batch job, a plain loop of pandas and XGBoost,
and Ray Data. All must give the same answers. Then a job on CSV, and jobs on more and more millions
of rows, for their memory. The aims: at most 1.3 times the floor, 90 s and 1.5 GB for ten million
rows, 150 000 rows of CSV a second, 2 s to the first row, and memory that does not grow. Ray is
installed into an environment of its own the first time; where that cannot be, it is left out.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from augurium.core.errors import NotReady
from benchmarks import batch_peers as peers
from benchmarks.batch_data import csv_folder, model_file, parquet_folder
from benchmarks.batch_job import JobNode, JobRun, plain
from benchmarks.batch_peers import Run
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save

MILLION = 1_000_000
NAMES = {
    "floor": "bare predict calls, in memory",
    "augurium": "batch job",
    "pandas": "pandas + XGBoost loop",
    "ray": "Ray Data",
}

Measure = Callable[[], Run]


def main() -> int:
    """Prints and saves the figures; 1 with a message when the node does not start."""
    parser = argparse.ArgumentParser("benchmarks.batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=10 * MILLION)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv-rows", type=int, default=MILLION, help="0: none")
    parser.add_argument("--memory", type=int, nargs="*", default=[1, 5, 20, 50], help="millions")
    parser.add_argument("--only", nargs="+", choices=tuple(NAMES), default=tuple(NAMES))
    parser.add_argument("--ray-python", type=Path, help="a Python that has ray[data] and xgboost")
    parser.add_argument("--folder", type=Path, default=BENCH / "batch", help="for rows and answers")
    chosen = parser.parse_args()
    return print_and_save("batch", lambda: _measured(chosen))


def _measured(chosen: argparse.Namespace) -> Mapping[str, object]:
    folder: Path = chosen.folder
    model = model_file(folder)
    shutil.rmtree(folder / "node", ignore_errors=True)
    with JobNode(folder / "node", model) as node:
        found: dict[str, object] = {
            "settings": {
                name: value for name, value in vars(chosen).items() if not isinstance(value, Path)
            },
            **_compared(chosen, model, node),
        }
        if chosen.csv_rows:
            found["csv"] = _csv(node, folder, chosen.csv_rows)
        found["memory"] = [_memory(node, folder, millions) for millions in chosen.memory]
        found["node_mib"] = round(node.mib)
    return found


def _compared(chosen: argparse.Namespace, model: Path, node: JobNode) -> dict[str, object]:
    folder: Path = chosen.folder
    rows, output = parquet_folder(folder, chosen.rows), folder / "answers"
    everyone: dict[str, Measure] = {
        "floor": lambda: peers.floor(model, chosen.rows),
        "augurium": lambda: node.run(rows, output),
        "pandas": lambda: peers.plain_loop(model, rows, output),
    }
    if "ray" in chosen.only:
        try:
            python = peers.ray_python(chosen.ray_python, BENCH / "ray")
        except NotReady as error:
            print(f"without Ray Data: {error}", file=sys.stderr)
        else:
            everyone["ray"] = lambda: peers.ray_data(python, model, rows, output)
    asked = {name: measure for name, measure in everyone.items() if name in chosen.only}
    rounds = [_round(asked, output, number) for number in range(chosen.rounds)]
    table = {name: _summary(name, rounds, chosen.rows) for name in asked}
    _print_table(table, chosen.rows)
    jobs = [run for one in rounds for run in one.values() if isinstance(run, JobRun)]
    return {"peers": table, "jobs": [plain(job) for job in jobs]}


def _round(everyone: Mapping[str, Measure], output: Path, number: int) -> dict[str, Run]:
    found = {}
    # whoever is later has a warmer machine
    for name in sorted(everyone, reverse=bool(number % 2)):
        shutil.rmtree(output, ignore_errors=True)
        found[name] = everyone[name]()
        print(f"  {number + 1}: {NAMES[name]}, {found[name].seconds:.2f} s", flush=True)
    shutil.rmtree(output, ignore_errors=True)
    peers.agree(list(found.values()))
    return found


def _summary(name: str, rounds: list[dict[str, Run]], rows: int) -> dict[str, Any]:
    """Medians; `ratios` are by the floor of the same round."""
    runs = [one[name] for one in rounds]
    seconds = median(run.seconds for run in runs)
    floors = [one["floor"].seconds for one in rounds if "floor" in one]
    ratios = [run.seconds / floor for run, floor in zip(runs, floors, strict=False)]
    cores = [run.core_s for run in runs if run.core_s is not None]
    return {
        "seconds": round(seconds, 2),
        "core_s": round(median(cores), 2) if cores else None,
        "rows_per_s": round(rows / seconds),
        "ratio": round(median(ratios), 2) if ratios else None,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "peak_mib": round(max(run.peak_mib for run in runs)),
    }


def _print_table(table: Mapping[str, Mapping[str, Any]], rows: int) -> None:
    print(f"\n| {rows:,} rows | seconds | rows/s | by the floor | core seconds | most memory |")
    print("|---|---|---|---|---|---|")
    for name, one in table.items():
        print(
            f"| {NAMES[name]} | {one['seconds']:.1f} | {one['rows_per_s']:,} |"
            f" {_decimal(one['ratio'], 2)} | {_decimal(one['core_s'], 1)} |"
            f" {one['peak_mib']:,} MiB |"
        )
    print(flush=True)


def _decimal(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _csv(node: JobNode, folder: Path, rows: int) -> dict[str, Any]:
    output = folder / "answers"
    job = node.run(csv_folder(folder, rows), output)
    shutil.rmtree(output)
    print(f"CSV: {rows / job.seconds:,.0f} rows/s", flush=True)
    return {"rows": rows, "rows_per_s": round(rows / job.seconds), **plain(job)}


def _memory(node: JobNode, folder: Path, millions: int) -> dict[str, Any]:
    """The memory of a job on so many rows."""
    rows, output = parquet_folder(folder, millions * MILLION), folder / "answers"
    job = node.run(rows, output)
    shutil.rmtree(output)
    print(f"{millions} million rows: {job.peak_mib:,.0f} MiB", flush=True)
    return {"rows": millions * MILLION, **plain(job)}


if __name__ == "__main__":
    sys.exit(main())
