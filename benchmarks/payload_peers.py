"""Augurium and Triton with the models of the payload benchmark."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.augurium_node import AuguriumNode, serve_command
from benchmarks.augurium_peer import Augurium
from benchmarks.payload_files import IMAGE, LINEAR, NATIVE, PayloadFiles
from benchmarks.peer import APPLICATIONS, GRPC, REST, Launch, Ports
from benchmarks.server import free_ports
from benchmarks.triton import Triton
from benchmarks.workload import MODEL

ARROW = "arrow"
IMAGE_CONFIGURATION = f"""\
name: "{IMAGE}"
backend: "python"
max_batch_size: 256
input [{{ name: "x" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] }}]
output [{{ name: "y" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] }}]
instance_group [{{ kind: KIND_CPU count: 1 }}]
"""


@dataclass(frozen=True, kw_only=True)
class PayloadAugurium(Augurium):
    """Every model in ONNX Runtime, and the boosted classifier once more in XGBoost itself."""

    files: PayloadFiles
    protocols: frozenset[str] = frozenset({REST, GRPC, ARROW})

    def prepare(self) -> None:
        shutil.rmtree(self._place(), ignore_errors=True)
        with AuguriumNode(self._place(), free_ports(), self.engines) as node:
            node.register(self.place.workload.ubj, MODEL)
            node.register(self.place.workload.ubj, NATIVE, "--engine", "xgboost")
            node.register(self.files.linear_model, LINEAR)
            node.register(self.files.image_model, IMAGE)

    def launch(self, ports: Ports) -> Launch:
        return Launch((serve_command(self._place(), ports, self.engines),))

    def _place(self) -> Path:
        return self.place.bench / "augurium" / "payloads-home"


@dataclass(frozen=True)
class PayloadTriton(Triton):
    """The classifier as always, and an identity of images in the Python backend."""

    def prepare(self) -> None:
        super().prepare()
        image = self._repository() / IMAGE
        (image / "1").mkdir(parents=True, exist_ok=True)
        shutil.copy(APPLICATIONS / "identity_model.py", image / "1" / "model.py")
        (image / "config.pbtxt").write_text(IMAGE_CONFIGURATION)

    def _repository(self) -> Path:
        usual = super()._repository()
        return usual.with_name(f"payloads-{usual.name}")
