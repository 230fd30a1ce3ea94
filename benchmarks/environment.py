"""Private virtual environments, one per peer, so that nobody's needs reach another."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from augurium.core.errors import NotReady

ENGINE = f"onnxruntime=={metadata.version('onnxruntime')}"  # every server runs the same engine
LOG_LINES = 20


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `folder`. `alone` are installed first, without what they ask for."""

    folder: Path
    requirements: tuple[str, ...]
    alone: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        """Where its packages lie."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def create(self) -> None:
        """Makes the environment unless it is there. Raises NotReady when pip fails."""
        wanted = "\n".join((sys.version, *self.requirements, *self.alone))
        stamp = self.folder / "requirements.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"installing {', '.join((*self.alone, *self.requirements))} ...", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
        if self.alone:
            self._install("--no-deps", *self.alone)
        self._install(*self.requirements)
        stamp.write_text(wanted)

    def version(self, package: str) -> str:
        """The installed version of one package."""
        found = next(iter(metadata.distributions(name=package, path=[str(self.site)])), None)
        if found is None:
            raise NotReady(f"{package} is not in {self.folder}; remove that folder and run again")
        return found.version

    def _install(self, *arguments: str) -> None:
        _run([str(self.python), "-m", "pip", "install", "--quiet", *arguments])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-LOG_LINES:])
        raise NotReady(f"'{' '.join(command)}' failed; is a package index reachable?\n{tail}")
