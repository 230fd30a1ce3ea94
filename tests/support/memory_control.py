"""The node's control in memory: what it is asked stands in it, and it answers what it is given."""

from collections.abc import Sequence

from augurium.core.errors import AuguriumError, InvalidArgument, NotFound
from augurium.serving.metrics import VersionMetrics
from augurium.serving.questions import IndexEntry, Load


class MemoryControl:
    """`NodeControl` without a node. `orders` are the loads it was asked for, `unloads` and `levels`
    pairs with who asked; `fault` is raised instead of any answer.
    """

    def __init__(self) -> None:
        self.counted: list[VersionMetrics] = []
        self.entries: list[IndexEntry] = []
        self.orders: list[Load] = []
        self.unloads: list[tuple[str, str]] = []
        self.levels: list[tuple[str, str]] = []
        self.level = "info"
        self.timeouts: list[float | None] = []
        self.fault: AuguriumError | None = None

    async def statistics(
        self, model: str | None, version: int | None, timeout_s: float | None = None
    ) -> Sequence[VersionMetrics]:
        self._called(timeout_s)
        return [
            one
            for one in self.counted
            if model in (None, one.model) and version in (None, one.version)
        ]

    async def index(self, timeout_s: float | None = None) -> Sequence[IndexEntry]:
        self._called(timeout_s)
        return self.entries

    async def load(self, order: Load, timeout_s: float | None = None) -> Sequence[int]:
        self._called(timeout_s)
        if order.model not in {entry.model for entry in self.entries}:
            raise InvalidArgument(f"failed to load '{order.model}', failed to poll")
        self.orders.append(order)
        return order.versions or (1,)

    async def unload(self, model: str, actor: str, timeout_s: float | None = None) -> None:
        self._called(timeout_s)
        if model not in {entry.model for entry in self.entries}:
            raise NotFound(f"failed to unload '{model}'")
        self.unloads.append((model, actor))

    async def log_level(self, timeout_s: float | None = None) -> str:
        self._called(timeout_s)
        return self.level

    async def set_log_level(self, level: str, actor: str, timeout_s: float | None = None) -> str:
        self._called(timeout_s)
        self.levels.append((level, actor))
        self.level = level
        return level

    def _called(self, timeout_s: float | None) -> None:
        self.timeouts.append(timeout_s)
        if self.fault is not None:
            raise self.fault
