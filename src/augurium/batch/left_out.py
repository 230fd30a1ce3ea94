"""Packages that libraries look for and do without, kept out of a process that has no use for them.

Measured: XGBoost loads in 0.3 s and takes 60 MB where it takes 1.5 s and 196 MB with scikit-learn
and pandas; and Arrow loads pandas, 0.3 s, as soon as it is given an array.
"""

import sys
from collections.abc import Sequence
from types import ModuleType

WITHOUT_PANDAS = frozenset({"onnx", "treelite", "xgboost", "lightgbm"})
PANDAS = ("pandas",)
WRAPPERS = ("sklearn", "matplotlib", "dask")


def leave_out(runtime: str) -> None:
    """From now on this process runs models with one runtime, and nothing else."""
    if runtime in WITHOUT_PANDAS:
        leave_out_packages(*PANDAS, *WRAPPERS)


def leave_out_packages(*names: str) -> None:
    """Whoever imports one of them from now on finds that it is not installed."""
    # not by None in `sys.modules`: what is compiled by Cython takes that for the module
    sys.meta_path.insert(0, _LeftOut(names))


class _LeftOut:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
