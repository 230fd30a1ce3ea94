"""A ceiling: a fast HTTP host with an application that does nothing."""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.peer import REST, Launch, Place, Ports

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
