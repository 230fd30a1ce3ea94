"""In which process a version runs: in the engines, in one of its own, or in one it shares."""

import hashlib
from typing import NamedTuple

import msgspec

from augurium.core.cpu_list import cpus_of
from augurium.core.device_policy import CPU
from augurium.runtimes.runtime import IN_ENGINE
from augurium.serving.snapshot import DesiredVersion

# by runtime the framework that a process loads; versions of one framework may share it
FRAMEWORKS = {
    "treelite": "treelite",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "sklearn": "sklearn",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
}


class Placement(NamedTuple):
    """The process of a version: its name, whether others may be in it, and on what it runs.

    All versions of one place agree in `threads` and `cpus`, which are the process's.
    """

    name: str
    shared: bool
    threads: int
    cpus: tuple[int, ...]


def in_engine(desired: DesiredVersion) -> bool:
    """Whether a version lives in the engine processes: no device is ever opened there, and who is
    to be alone is not.
    """
    alone = desired.placement.isolation == "dedicated"
    return desired.runtime in IN_ENGINE and desired.device == CPU and not alone


def version_key(desired: DesiredVersion) -> str:
    """One version's alone, of this content and this placement."""
    content = (
        desired.runtime,
        desired.digest,
        desired.weights_digest,
        desired.options,
        desired.placement,
        desired.device,
    )
    return f"{desired.model}-{desired.version}-{_digest(content)}"


def dedicated(desired: DesiredVersion) -> Placement:
    """A process of its own."""
    return Placement(version_key(desired), False, *_means(desired))


def placement_of(desired: DesiredVersion) -> Placement:
    """Where a version runs, by its policy and by what its file may do."""
    if not is_shared(desired):
        return dedicated(desired)
    framework = FRAMEWORKS[desired.runtime]
    means = _means(desired)
    return Placement(f"{framework}-{_digest((framework, *means))}", True, *means)


def replica_of(placement: Placement, number: int) -> Placement:
    """The place of one of several runners, counted from 1."""
    return placement if number == 1 else placement._replace(name=f"{placement.name}-r{number}")


def is_shared(desired: DesiredVersion) -> bool:
    """Whether a version shares its process."""
    if runs_code(desired.runtime, desired.options) or desired.runtime not in FRAMEWORKS:
        return False
    return desired.placement.isolation != "dedicated" and not desired.device.on_cuda


def runs_code(runtime: str, options: dict[str, str]) -> bool:
    """Whether the file of a version is a program: it decides what its process does."""
    return runtime == "python" or options.get("format") == "pickle"


def _means(desired: DesiredVersion) -> tuple[int, tuple[int, ...]]:
    return desired.placement.threads or 1, cpus_of(desired.placement.cpus)


def _digest(content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]
