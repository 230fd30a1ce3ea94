"""What a server must be to take part: a command that serves the workload on given ports."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.workload import Workload

APPLICATIONS = Path(__file__).parent / "apps"
REST, GRPC = "rest", "grpc"


class Ports(NamedTuple):
    """Free loopback ports; `other` is for a metrics or management interface."""

    rest: int
    grpc: int
    other: int


@dataclass(frozen=True)
class Place:
    """Where a peer may keep files (`bench`), and what it shall serve."""

    bench: Path
    workload: Workload


@dataclass(frozen=True)
class Launch:
    """Commands to start together, and what to add to their environment; run in `folder`."""

    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = APPLICATIONS

    def full_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


class Peer(Protocol):
    """One server in one setting. Of peers with the same `name`, the best at each load counts."""

    @property
    def name(self) -> str: ...

    @property
    def setting(self) -> str:
        """What is particular about this one, in words."""
        ...

    @property
    def protocols(self) -> frozenset[str]:
        """What it speaks: `rest`, `grpc`."""
        ...

    @property
    def predicts(self) -> bool:
        """Whether it runs the model; a ceiling answers without."""
        ...

    def prepare(self) -> None:
        """Installs and writes what is missing. Raises NotReady saying what to do about it."""
        ...

    def versions(self) -> dict[str, str]:
        """What it is made of: package or server to version."""
        ...

    def launch(self, ports: Ports) -> Launch: ...
