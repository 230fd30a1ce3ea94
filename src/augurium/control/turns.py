"""Turns: one change per model at a time; the next waits, in the order they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from augurium.core.errors import Overloaded

MAX_WAITING = 16


class Turns:
    """A bounded waiting line per model. Lines that nobody stands in take no memory."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._standing: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, model: str) -> AsyncIterator[None]:
        """Waits for the model's turn and keeps it. Raises Overloaded when too many wait already."""
        standing = self._standing.get(model, 0)
        if standing > MAX_WAITING:
            raise Overloaded(
                f"{MAX_WAITING} changes of model '{model}' are waiting already; try again later"
            )
        lock = self._locks.setdefault(model, asyncio.Lock())
        self._standing[model] = standing + 1
        try:
            async with lock:
                yield
        finally:
            self._standing[model] -= 1
            if not self._standing[model]:
                del self._standing[model], self._locks[model]
