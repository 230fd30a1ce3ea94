"""Triton Inference Server, the real one: the binary that the nvidia-pytriton wheel carries.

The wheel has no ONNX backend, so the model runs in ONNX Runtime under Triton's Python backend.
"""

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from augurium.core.errors import NotReady
from benchmarks.environment import ENGINE, Environment
from benchmarks.peer import APPLICATIONS, GRPC, REST, Launch, Place, Ports
from benchmarks.workload import FEATURES, MODEL

PYTHON = (3, 11)
WHEEL = "nvidia-pytriton==0.7.0"
RELEASE = "24.10"  # the server inside that wheel

CONFIGURATION = f"""\
name: "{MODEL}"
backend: "python"
max_batch_size: 256
input [{{ name: "features" data_type: TYPE_FP32 dims: [ {FEATURES} ] }}]
output [
  {{ name: "label" data_type: TYPE_INT64 dims: [ 1 ] }},
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 2 ] }}
]
instance_group [{{ kind: KIND_CPU count: %d }}]
"""
BATCHING = "dynamic_batching {{ max_queue_delay_microseconds: {} }}\n"
HTTP_THREADS = 8  # its default


@dataclass(frozen=True)
class Triton:
    """Triton with `instances` model processes; `delay_us` is how long a batch may wait to fill."""

    place: Place
    instances: int
    batching: bool
    delay_us: int = 0
    http_threads: int = HTTP_THREADS
    name: str = "Triton"
    protocols: frozenset[str] = frozenset({REST, GRPC})
    predicts: bool = True

    @property
    def setting(self) -> str:
        instances = f"{self.instances} instance{'s' if self.instances > 1 else ''}"
        batching = "dynamic batching" if self.batching else "no batching"
        delay = f" within {self.delay_us} us" if self.delay_us else ""
        threads = "" if self.http_threads == HTTP_THREADS else f", {self.http_threads} HTTP threads"
        return f"{instances}, {batching}{delay}{threads}"

    def prepare(self) -> None:
        if sys.version_info[:2] != PYTHON:
            raise NotReady("Triton's Python backend needs this to run under Python 3.11")
        if not self._shared_python().exists():
            raise NotReady(
                f"Triton needs a shared libpython, and {self._shared_python()} does not exist; "
                "use a Python 3.11 that was built with --enable-shared"
            )
        self._environment().create()
        stub = "triton_python_backend_stub"  # looked for beside the backend only
        source = self._server() / "python_backend_stubs" / "3.11" / stub
        target = self._server() / "backends" / "python" / stub
        if not target.exists():
            shutil.copy(source, target)
        self._write_repository()

    def versions(self) -> dict[str, str]:
        environment = self._environment()
        packages = ("nvidia-pytriton", "onnxruntime", "numpy")
        return {"triton": RELEASE} | {name: environment.version(name) for name in packages}

    def launch(self, ports: Ports) -> Launch:
        server, site = self._server(), self._environment().site
        command = (
            str(server / "bin" / "tritonserver"),
            f"--model-repository={self._repository()}",
            f"--backend-directory={server / 'backends'}",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            f"--http-port={ports.rest}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-port={ports.other}",
            f"--http-thread-count={self.http_threads}",
        )
        environment = {
            # our libpython before the system's, and nothing else of its folder
            "LD_LIBRARY_PATH": f"{self._libraries()}{os.pathsep}{site / 'nvidia_pytriton.libs'}",
            "PYTHONHOME": sys.base_prefix,
            "BENCH_PATHS": f"{site}{os.pathsep}{APPLICATIONS}",
            "BENCH_ONNX": str(self.place.workload.onnx),
        }
        return Launch((command,), environment)

    def _environment(self) -> Environment:
        folder = self.place.bench / "venvs" / "triton"
        return Environment(folder, ("numpy<2", ENGINE), alone=(WHEEL,))

    def _server(self) -> Path:
        return self._environment().site / "pytriton" / "tritonserver"

    def _shared_python(self) -> Path:
        return Path(sysconfig.get_config_var("LIBDIR")) / "libpython3.11.so.1.0"

    def _libraries(self) -> Path:
        return self.place.bench / "triton" / "libraries"

    def _repository(self) -> Path:
        batching = "batching" if self.batching else "plain"
        return self.place.bench / "triton" / f"{batching}-{self.delay_us}us-{self.instances}"

    def _write_repository(self) -> None:
        self._libraries().mkdir(parents=True, exist_ok=True)
        link = self._libraries() / self._shared_python().name
        link.unlink(missing_ok=True)
        link.symlink_to(self._shared_python())
        model = self._repository() / MODEL
        (model / "1").mkdir(parents=True, exist_ok=True)
        shutil.copy(APPLICATIONS / "triton_model.py", model / "1" / "model.py")
        batching = BATCHING.format(self.delay_us) if self.batching else ""
        (model / "config.pbtxt").write_text(CONFIGURATION % self.instances + batching)
