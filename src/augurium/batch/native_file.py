"""The source of a version as its own framework would serve it, written beside a job."""

from importlib import import_module
from pathlib import Path

from augurium.batch.left_out import leave_out

# XGBoost tells by the ending how a file is to be written
NAMES = {"xgboost": "model.ubj", "lightgbm": "model.txt"}


def write_native(runtime: str, source: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Writes the file into the folder; where it is, and the options to load it with.

    Raises Unprocessable for a source that is damaged.
    """
    leave_out(runtime)
    module = import_module(f"augurium.importing.{runtime}_import")
    target = folder / NAMES[runtime]
    options: dict[str, str] = module.write_native(source, target)
    return target, options
