"""What a worker does without."""

import subprocess
import sys

import pytest

LOADED = """
import sys
from augurium.batch.left_out import leave_out
leave_out({runtime!r})
import numpy, pyarrow, {module}
pyarrow.array(numpy.zeros(3))
print(*sorted({{"pandas", "sklearn"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("runtime", ["xgboost", "lightgbm"])
def test_a_tree_library_loads_without_what_only_its_wrappers_need(runtime: str) -> None:
    code = LOADED.format(runtime=runtime, module=f"augurium.runtimes.{runtime}")

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.split() == []


def test_a_runtime_that_needs_them_has_them() -> None:
    code = LOADED.format(runtime="sklearn", module="augurium.runtimes.sklearn")

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "sklearn" in told.stdout.split()
