"""FastAPI under uvicorn, the service that people write themselves."""

from dataclasses import dataclass

from benchmarks.environment import ENGINE, Environment
from benchmarks.peer import REST, Launch, Place, Ports

PACKAGES = ("fastapi", "uvicorn", "pydantic", "uvloop", "httptools", "onnxruntime")
PROCESSES = 2


@dataclass(frozen=True)
class FastApi:
    """Two uvicorn workers; `body` is `typed` (a pydantic model) or `raw` (decoded by hand)."""

    place: Place
    body: str
    name: str = "FastAPI"
    protocols: frozenset[str] = frozenset({REST})
    predicts: bool = True

    @property
    def setting(self) -> str:
        return f"{PROCESSES} processes, {self.body} body"

    def prepare(self) -> None:
        self._environment().create()

    def versions(self) -> dict[str, str]:
        return {name: self._environment().version(name) for name in PACKAGES}

    def launch(self, ports: Ports) -> Launch:
        uvicorn = (str(self._environment().python), "-m", "uvicorn", "--factory")
        options = ("--workers", str(PROCESSES), "--host", "127.0.0.1", "--port", str(ports.rest))
        environment = {"BENCH_ONNX": str(self.place.workload.onnx), "BENCH_BODY": self.body}
        command = (*uvicorn, "fastapi_app:create", *options, "--no-access-log")
        return Launch((command,), environment)

    def _environment(self) -> Environment:
        folder = self.place.bench / "venvs" / "fastapi"
        return Environment(folder, ("fastapi", "numpy", "orjson", "uvicorn[standard]", ENGINE))
