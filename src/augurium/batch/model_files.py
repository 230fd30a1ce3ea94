"""What a runtime loads a version from. Loads no framework, and not Arrow, before it is asked to."""

from pathlib import Path

from msgspec import Struct

from augurium.batch.left_out import leave_out
from augurium.core.device_policy import CPU, DevicePolicy
from augurium.runtimes.placement import Placement
from augurium.runtimes.runtime import LoadedModel, load

LARGEST_BATCH = 65_536


class ModelFiles(Struct, frozen=True, kw_only=True):
    """What a runtime loads a version from, and where: files of this machine that were hashed."""

    runtime: str
    path: str
    options: dict[str, str]
    weights: str | None = None
    device: DevicePolicy = CPU

    def load(self) -> LoadedModel:
        """Raises ModelFailed when that cannot be done."""
        placement = Placement(self.device, max_rows=LARGEST_BATCH)
        weights = Path(self.weights) if self.weights else None
        leave_out(self.runtime)
        return load(self.runtime, Path(self.path), self.options, weights, placement=placement)
