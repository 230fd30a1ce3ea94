"""Who scores the same rows beside a batch job: the floor, a plain loop, Ray Data. Each is measured
in processes of its own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import msgspec
import psutil
import pyarrow.compute as pc
import pyarrow.parquet

from augurium.core.errors import ModelFailed, NotReady
from benchmarks.environment import Environment
from benchmarks.run import ROOT
from benchmarks.tree_memory import TreeMemory

CORES = 2
LOG_LINES = 20
RAY = ("ray[data]", "xgboost-cpu", "pyarrow", "pandas")


class Run(msgspec.Struct, frozen=True):
    """One run: `seconds` from the command to its end, of the floor those of predicting alone.

    `answers` are their number and their sum, by which all must agree. `core_s` are seconds of cores
    of those who scored, which tell more than `seconds` where others use the machine; None where
    that is not known.
    """

    seconds: float
    peak_mib: float
    answers: tuple[int, float]
    core_s: float | None


def floor(model: Path, rows: int) -> Run:
    """The bare predict calls on one array in memory, half of it in each of two processes."""
    command = (sys.executable, "-m", "benchmarks.batch_floor", str(model), str(rows))
    children = [
        subprocess.Popen(
            (*command, str(part), str(CORES)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for part in range(CORES)
    ]
    with TreeMemory(lambda: [psutil.Process(child.pid) for child in children]) as memory:
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != "ready\n":
                raise NotReady("a process of the floor ended before it was ready")
        # both begin when the last one is ready
        found = [json.loads(text) for text in _told(children)]
    began, ended, cores, counts, sums = zip(*found, strict=True)
    answers = sum(counts), sum(sums)
    return Run(max(ended) - min(began), memory.peak_mib, answers, sum(cores))


def plain_loop(model: Path, folder: Path, output: Path) -> Run:
    """pandas and XGBoost, file by file."""
    command = (sys.executable, "-m", "benchmarks.batch_pandas", str(model), str(folder))
    before = getrusage(RUSAGE_CHILDREN)
    found = _run((*command, str(output)), output)
    after = getrusage(RUSAGE_CHILDREN)
    core_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return msgspec.structs.replace(found, core_s=core_s)


def ray_data(python: Path, model: Path, folder: Path, output: Path) -> Run:
    """Ray Data on the same cores."""
    script = ROOT / "benchmarks" / "batch_ray.py"
    command = (str(python), str(script), str(model), str(folder), str(output), str(CORES))
    return _run(command, output)


def ray_python(given: Path | None, folder: Path) -> Path:
    """A Python with Ray: the given one, or of an environment that is made the first time. Raises
    NotReady where that cannot be.
    """
    if given is not None:
        return given
    environment = Environment(folder, RAY)
    environment.create()
    return environment.python


def answers_in(output: Path) -> tuple[int, float]:
    """How many answers there are in a folder, and their sum."""
    files = [path for path in output.rglob("*.parquet") if not path.parent.name.startswith("_")]
    count, total = 0, 0.0
    for path in files:
        column = pyarrow.parquet.read_table(path, columns=["prediction"]).column(0)
        count += len(column)
        total += pc.sum(column.cast("double")).as_py() or 0.0
    return count, total


def agree(runs: Sequence[Run]) -> None:
    """Raises ModelFailed unless all gave as many answers, and the same ones."""
    counts = {run.answers[0] for run in runs}
    sums = [run.answers[1] for run in runs]
    spread = max(sums) - min(sums)
    if len(counts) > 1 or spread > 1e-6 * max(counts):
        raise ModelFailed(f"answers differ: {sorted(counts)} rows, sums {sorted(sums)}")


def _told(children: Sequence[subprocess.Popen[str]]) -> list[str]:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [child.communicate()[0] for child in children]


def _run(command: Sequence[str], output: Path) -> Run:
    began = time.monotonic()
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with TreeMemory(lambda: [psutil.Process(child.pid)]) as memory:
        said, _ = child.communicate()
    seconds = time.monotonic() - began
    if child.returncode != 0:
        tail = "\n".join(said.splitlines()[-LOG_LINES:])
        raise NotReady(f"'{' '.join(command[:3])}' ended with {child.returncode}:\n{tail}")
    return Run(seconds, memory.peak_mib, answers_in(output), None)
