"""How long the sums of a large experiment take: predictions joined with feedback, out of Parquet.

Ten million predictions of two million units and as many rows of feedback, half by prediction and
half by unit; two metrics and the usual guardrails; with several limits of memory, on two threads,
each in a process of its own.

    python -m benchmarks.experiment_sums
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from augurium.control.experiment_sums import experiment_sums
from augurium.core.experiment_design import ExperimentDesign, ExperimentMetric
from augurium.core.traffic_policy import Variant
from augurium.records.schema import quoted_text
from augurium.traffic.experiment_result import ExperimentPhase
from benchmarks.experiment_rows import START, WEEK_S, write
from benchmarks.saved import print_and_save

ROWS = 10_000_000
UNITS = 2_000_000
MEMORY = ("512MiB", "2GiB")
THREADS = 2
DESIGN = ExperimentDesign(
    hypothesis="the new version sells more",
    variants=(Variant(1, 50), Variant(2, 50)),
    metrics=(ExperimentMetric("bought"), ExperimentMetric("revenue", "continuous")),
)


def measure() -> dict[str, object]:
    """Seconds, seconds of CPU and the largest resident memory, by the limit of DuckDB's memory."""
    with tempfile.TemporaryDirectory(prefix="augurium-sums-") as folder:
        began = time.perf_counter()
        predictions, feedback = _alone(write, Path(folder), ROWS, UNITS)
        written = round(time.perf_counter() - began, 1)
        size = sum(path.stat().st_size for path in [*predictions, *feedback])
        return {
            "predictions": ROWS,
            "feedback": ROWS,
            "units": UNITS,
            "parquet_mb": round(size / 1e6),
            "seconds_to_write": written,
            "by_memory": {
                memory: _alone(_sums, folder, predictions, feedback, memory) for memory in MEMORY
            },
        }


def _alone(call: Any, *arguments: Any) -> Any:
    """In a process of its own, whose memory is counted from nothing."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def _sums(
    folder: str, predictions: list[Path], feedback: list[Path], memory: str
) -> dict[str, float]:
    import duckdb

    connection = duckdb.connect(
        config={"memory_limit": memory, "threads": THREADS, "temp_directory": f"{folder}/spilled"}
    )
    connection.execute("SET enable_progress_bar = false")
    for name, paths in (("predictions", predictions), ("feedback", feedback)):
        listed = ", ".join(quoted_text(str(path)) for path in paths)
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}])")
    began, cpu = time.perf_counter(), time.process_time()
    phases = (ExperimentPhase(float(START), {"v1": 0.5, "v2": 0.5}),)
    found = experiment_sums(connection, DESIGN, phases, float(START + WEEK_S))
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "units": found.units,
        "joined": found.feedback.joined,
    }


if __name__ == "__main__":
    sys.exit(print_and_save("experiment_sums", measure))
