"""The database of records is loaded by whoever uses it, and by nobody else."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["augurium.node.engine", "augurium.control.assembly", "augurium.records.location"]
)
def test_a_process_that_records_nothing_does_not_load_it(module: str) -> None:
    code = f"import sys, {module}; print('duckdb' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
