"""skops, imported without PyTorch.

Looking for scikit-learn's own types skops imports every module of it, one of which imports PyTorch
where that is installed; measured: 1.3 of 1.7 s, and 200 MB, for nothing.
"""

import sys
from typing import Any


class _NoTorch:
    """A finder that finds no PyTorch, as if it were not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)


_finder: Any = _NoTorch()
sys.meta_path.insert(0, _finder)
try:
    import skops.io as skops_io
finally:
    sys.meta_path.remove(_finder)

__all__ = ["skops_io"]
