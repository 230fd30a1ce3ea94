"""wrk: requests on a number of connections, each sent when the one before is answered."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from augurium.core.errors import NotReady
from benchmarks.load import MARGIN_S, Figures, run_tool

TOOL = "wrk"
# where its scripts lie
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Wrk:
    """One thread and `connections` connections to `url`; the script `script` makes the requests,
    and is told `variables`. What takes longer than `timeout_s` counts as failed.
    """

    url: str
    script: str
    connections: int
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout_s: int = 2

    def send(self, seconds: float) -> Figures:
        """Sends for so long. Raises NotReady when wrk fails."""
        return _figures(run_tool(self._command(seconds), seconds, self._environment))

    @contextmanager
    def beside(self, seconds: float) -> Iterator[list[Figures]]:
        """Sends for so long while the block lasts, and to the end of the time; what was found is in
        the list when the block is left. Raises NotReady then, when wrk fails.
        """
        found: list[Figures] = []
        process = subprocess.Popen(
            self._command(seconds), stdout=subprocess.PIPE, text=True, env=self._environment
        )
        try:
            yield found
            printed, _ = process.communicate(timeout=seconds + MARGIN_S)
        finally:
            process.kill()
        if process.returncode != 0:
            raise NotReady(f"{TOOL} failed: {printed.strip()}")
        found.append(_figures(printed))

    def _command(self, seconds: float) -> tuple[str, ...]:
        options: tuple[str, ...] = ("-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s")
        options += ("--timeout", f"{self.timeout_s}s", "-s", str(FOLDER / self.script))
        return (TOOL, *options, self.url)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "BENCH_FOLDER": str(FOLDER), **self.variables}


def _figures(printed: str) -> Figures:
    return msgspec.json.decode(printed.splitlines()[-1], type=Figures)
