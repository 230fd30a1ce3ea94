"""mosec: a Rust front end with Python processes behind Unix sockets."""

from dataclasses import dataclass

from benchmarks.environment import ENGINE, Environment
from benchmarks.peer import REST, Launch, Place, Ports

PACKAGES = ("mosec", "numpy", "onnxruntime", "orjson")


@dataclass(frozen=True)
class Mosec:
    """mosec with `processes` workers; `batch` 1 means no batching."""

    place: Place
    processes: int
    batch: int
    wait_ms: int
    name: str = "mosec"
    protocols: frozenset[str] = frozenset({REST})
    predicts: bool = True

    @property
    def setting(self) -> str:
        processes = f"{self.processes} process{'es' if self.processes > 1 else ''}"
        if self.batch == 1:
            return f"{processes}, no batching"
        return f"{processes}, batches of {self.batch} within {self.wait_ms} ms"

    def prepare(self) -> None:
        self._environment().create()

    def versions(self) -> dict[str, str]:
        return {name: self._environment().version(name) for name in PACKAGES}

    def launch(self, ports: Ports) -> Launch:
        options = ("--address", "127.0.0.1", "--port", str(ports.rest))
        environment = {
            "BENCH_ONNX": str(self.place.workload.onnx),
            "BENCH_PROCESSES": str(self.processes),
            "BENCH_BATCH": str(self.batch),
            "BENCH_WAIT_MS": str(self.wait_ms),
        }
        command = (str(self._environment().python), "mosec_app.py", *options)
        return Launch((command,), environment)

    def _environment(self) -> Environment:
        folder = self.place.bench / "venvs" / "mosec"
        return Environment(folder, ("mosec", "numpy", "orjson", ENGINE))
