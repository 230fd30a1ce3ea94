"""The whole node as an engine may ask about it: `NodeControl` over the link to control."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from augurium.core.errors import Internal
from augurium.serving.metrics import VersionMetrics
from augurium.serving.questions import (
    Answer,
    Counted,
    Index,
    Indexed,
    IndexEntry,
    Load,
    Loaded,
    Logging,
    LogLevel,
    Mend,
    Mended,
    Question,
    Statistics,
    Unload,
    Unloaded,
)

LOOK_TIMEOUT_S = 10.0
# longer than control gives its engines to load
LOAD_TIMEOUT_S = 150.0

A = TypeVar("A")
Ask = Callable[[Question, float], Awaitable[Answer]]


class LinkedControl:
    """Asks through `ask`, which is `ControlLink.ask`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def statistics(
        self, model: str | None, version: int | None, timeout_s: float | None = None
    ) -> Sequence[VersionMetrics]:
        return (await self._told(Statistics(model, version), Counted, timeout_s)).versions

    async def index(self, timeout_s: float | None = None) -> Sequence[IndexEntry]:
        return (await self._told(Index(), Indexed, timeout_s)).entries

    async def load(self, order: Load, timeout_s: float | None = None) -> Sequence[int]:
        return (await self._told(order, Loaded, timeout_s, LOAD_TIMEOUT_S)).versions

    async def unload(self, model: str, actor: str, timeout_s: float | None = None) -> None:
        await self._told(Unload(model, actor), Unloaded, timeout_s, LOAD_TIMEOUT_S)

    async def log_level(self, timeout_s: float | None = None) -> str:
        return (await self._told(Logging(), LogLevel, timeout_s)).level

    async def set_log_level(self, level: str, actor: str, timeout_s: float | None = None) -> str:
        return (await self._told(Logging(level, actor), LogLevel, timeout_s)).level

    async def mended(self, digest: str) -> Path:
        """A file that is damaged here, whole again. Raises Unprocessable if there is no other copy,
        and NotReady.
        """
        return Path((await self._told(Mend(digest), Mended, None, LOAD_TIMEOUT_S)).path)

    async def _told(
        self,
        question: Question,
        kind: type[A],
        timeout_s: float | None,
        longest_s: float = LOOK_TIMEOUT_S,
    ) -> A:
        answer = await self._ask(question, longest_s if timeout_s is None else timeout_s)
        if not isinstance(answer, kind):
            raise Internal(f"control answered {type(answer).__name__}, not {kind.__name__}")
        return answer
