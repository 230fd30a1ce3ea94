"""What profiling costs: counting a row of 50 features by block size, and a pass over a table.

Prints a table in Markdown: `python benchmarks/profiles.py [ROWS]`.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augurium.importing.feature_columns import table_features
from augurium.importing.table import read_table
from augurium.importing.training_table import open_table
from augurium.statistics.profiler import Profiler
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values

FEATURES = 50
BLOCKS = (32, 256, 1024)
ROUNDS = 40
TABLE_ROWS = 1_000_000
TEXTS = 4


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else TABLE_ROWS
    print(f"| what | time |\n|---|---|\n{_counting()}\n{_table(rows)}")


def _counting() -> str:
    rng = np.random.default_rng(0)
    names = [f"f{index}" for index in range(FEATURES)]
    finder = ReferenceBins([Feature(name) for name in names])
    finder.observe({name: Values(rng.normal(size=20_000)) for name in names})
    bins, lines = finder.bins(), []
    for size in BLOCKS:
        block = {name: Values(rng.normal(size=size)) for name in names}
        profiler = Profiler(bins)
        times = [_seconds(lambda: profiler.update(block)) for _ in range(ROUNDS)]  # noqa: B023
        each = statistics.median(times) / size * 1e6
        lines.append(f"| a row of {FEATURES} numbers in blocks of {size} | {each:.2f} us |")
    return "\n".join(lines)


def _table(rows: int) -> str:
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(FEATURES - TEXTS)}
    levels = np.array([f"level {i}" for i in range(40)])
    columns |= {f"t{i}": rng.choice(levels, rows) for i in range(TEXTS)}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "table.parquet"
        pq.write_table(pa.table(columns), file)
        table = open_table(file)
        finder = ReferenceBins(table_features(table.fields))
        steps: list[tuple[str, Callable[[], object]]] = [
            ("sample of 2000 telling rows", lambda: read_table(file)),
            ("bins", lambda: list(map(finder.observe, table.blocks()))),
        ]
        found = [(name, _seconds(step)) for name, step in steps]
        profiler = Profiler(finder.bins())
        passed = _seconds(lambda: list(map(profiler.update, table.blocks())))
    found.append(("counts", passed))
    what = f"Parquet, {rows} x {FEATURES}"
    return "\n".join(f"| {what}: {name} | {seconds:.2f} s |" for name, seconds in found)


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
