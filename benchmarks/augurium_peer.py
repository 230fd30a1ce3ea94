"""Augurium itself, from this checkout, with its defaults."""

import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.augurium_node import AuguriumNode, serve_command
from benchmarks.peer import GRPC, REST, Launch, Place, Ports
from benchmarks.server import free_ports
from benchmarks.workload import MODEL

PACKAGES = ("augurium", "httptools", "hpack", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Augurium:
    """A node with `engines` engines."""

    place: Place
    engines: int = 2
    name: str = "Augurium"
    protocols: frozenset[str] = frozenset({REST, GRPC})
    predicts: bool = True

    @property
    def setting(self) -> str:
        return f"--engines {self.engines}, defaults"

    def prepare(self) -> None:
        """Registers and deploys the model in a fresh home; every later start finds it there."""
        shutil.rmtree(self._home(), ignore_errors=True)
        with AuguriumNode(self._home(), free_ports(), self.engines) as node:
            node.register(self.place.workload.ubj, MODEL)

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in PACKAGES}

    def launch(self, ports: Ports) -> Launch:
        return Launch((serve_command(self._home(), ports, self.engines),))

    def _home(self) -> Path:
        return self.place.bench / "augurium" / "home"
