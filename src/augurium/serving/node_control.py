"""The port through which a protocol asks about the whole node, and changes it."""

from collections.abc import Sequence
from typing import Protocol

from augurium.serving.metrics import VersionMetrics
from augurium.serving.questions import IndexEntry, Load


class NodeControl(Protocol):
    """Every method raises NotReady while control cannot be asked, Overloaded when too much is asked
    at a time, and DeadlineExceeded when there is no answer within `timeout_s` seconds (None: as
    long as control itself allows).
    """

    async def statistics(
        self, model: str | None, version: int | None, timeout_s: float | None = None
    ) -> Sequence[VersionMetrics]:
        """What all engines have counted so far, as one sum for each version."""
        ...

    async def index(self, timeout_s: float | None = None) -> Sequence[IndexEntry]:
        """Every deployed version, and the newest of each model if that is not deployed."""
        ...

    async def load(self, order: Load, timeout_s: float | None = None) -> Sequence[int]:
        """Returns when every engine has the versions, whose numbers it gives.

        Raises InvalidArgument with the reason when that cannot be; all is as before then.
        """
        ...

    async def unload(self, model: str, actor: str, timeout_s: float | None = None) -> None:
        """Returns when no engine takes requests for the model any more.

        Raises NotFound, and Conflict while an alias points at a version.
        """
        ...

    async def log_level(self, timeout_s: float | None = None) -> str:
        """From which level on the processes of the node log."""
        ...

    async def set_log_level(self, level: str, actor: str, timeout_s: float | None = None) -> str:
        """Makes every process log from this level on; gives the level."""
        ...
