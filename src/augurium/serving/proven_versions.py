"""Which versions went through their warm-up on this machine, so that they need not do so again."""

import functools
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from augurium.core.device_policy import CPU
from augurium.serving.snapshot import DesiredVersion

# packages by runtime whose names are others
PACKAGES = {"onnx": "onnxruntime", "sklearn": "scikit-learn", "xgboost": "xgboost-cpu"}
MOST_NOTES = 20_000


class ProvenVersions:
    """Notes in a folder of one engine, for each has traffic of its own to warm up with: an empty
    file for what was proven.

    What was proven are these files with these options in this software on this machine. A note that
    cannot be written costs a warm-up, no more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def knows(self, desired: DesiredVersion) -> bool:
        return (self._folder / _name(desired)).exists()

    def others_know(self, desired: DesiredVersion) -> bool:
        """Whether another engine of this node proved it."""
        name = _name(desired)
        return any((folder / name).exists() for folder in _folders(self._folder.parent))

    def add(self, desired: DesiredVersion) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / _name(desired)).touch(mode=0o600)
        except OSError:
            return

    def sweep(self) -> int:
        """Removes the oldest notes when there are very many, and says how many."""
        if not self._folder.is_dir():
            return 0
        notes = [note for note in self._folder.iterdir() if note.is_file()]
        notes.sort(key=lambda note: note.stat().st_mtime_ns)
        gone = notes[: max(0, len(notes) - MOST_NOTES)]
        for note in gone:
            note.unlink(missing_ok=True)
        return len(gone)


def _folders(parent: Path) -> list[Path]:
    try:
        return [folder for folder in parent.iterdir() if folder.is_dir()]
    except OSError:
        return []


def _name(desired: DesiredVersion) -> str:
    what = (
        desired.digest,
        desired.weights_digest,
        desired.runtime,
        sorted(desired.options.items()),
        desired.signature,
        desired.batching.max_batch_size,
        desired.examples,
        _versions(desired.runtime),
        (platform.node(), platform.machine()),
        *([desired.device] if desired.device != CPU else []),
    )
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:40]


@functools.cache
def _versions(runtime: str) -> list[str]:
    found = []
    for package in ("augurium", "numpy", PACKAGES.get(runtime, runtime)):
        try:
            found.append(version(package))
        except PackageNotFoundError:
            found.append("")
    return found
