"""Requests made by libFuzzer, which looks for code that none of them has reached yet."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.seeds import GRPC_SEEDS, SEEDS

SECONDS = 20
LIMIT_S = 600
# a process inherits the largest memory of the one that started it as its own (getrusage), which
# libFuzzer holds against its limit: the shell between them is small
IN_A_PROCESS_OF_ITS_OWN = ("sh", "-c", '"$@"; exit $?', "sh")


def write_rest_seeds(folder: Path) -> None:
    for number, (_, _, headers, body) in enumerate(SEEDS):
        told = headers.get("inference-header-content-length", "")
        # the third byte, a multiple of four, is how much shorter than the body its JSON is
        third = len(body) - int(told) if told not in ("", "0") else 1
        chosen = 1 if told == "0" else 0
        (folder / f"{number}").write_bytes(bytes([number, chosen, third % 256]) + body)


def write_grpc_seeds(folder: Path) -> None:
    for number, message in enumerate(GRPC_SEEDS):
        for method in range(24):
            (folder / f"{number}-{method}").write_bytes(bytes([method]) + message)


@pytest.mark.parametrize(
    ("target", "write_seeds"), [("rest", write_rest_seeds), ("grpc", write_grpc_seeds)]
)
def test_no_request_brings_a_fault_or_changes_a_neighbours_answer(
    target: str, write_seeds: Callable[[Path], None], tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_seeds(corpus)
    run = subprocess.run(
        [
            *IN_A_PROCESS_OF_ITS_OWN,
            sys.executable, "-m", "tests.fuzz", target, str(corpus), f"-max_total_time={SECONDS}",
            "-max_len=4096", "-seed=7", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-6000:]
    assert _requests(run.stderr) > 500, run.stderr[-2000:]


def _requests(output: str) -> int:
    found = [line for line in output.splitlines() if line.startswith("stat::number_of_executed")]
    return int(found[0].split()[-1])
