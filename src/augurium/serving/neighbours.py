"""The engines of a node as each other's memory: where not everything fits, a version that is asked
for seldom is in one of them, its home, which answers for all.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from augurium.core.errors import NotReady
from augurium.core.inference import Answer
from augurium.core.priority import Priority
from augurium.core.tensors import Array
from augurium.serving.homes import home_of
from augurium.serving.neighbour_desk import Find, NeighbourDesk
from augurium.serving.neighbour_link import NeighbourLink, NotAnswered
from augurium.serving.snapshot import DesiredVersion

# how often an engine looks for others
LOOK_S = 0.5


class Neighbours:
    """Who else is there, and who is whose home. Lives on one event loop.

    Each engine knows the others by their sockets, of which `socket_of` gives the path. Views may
    differ for a moment: who is asked answers, whether it takes itself for the home or not.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        own: str,
        slots: Sequence[str],
        socket_of: Callable[[str], Path],
        find: Find,
        ended_again: Callable[[str, DesiredVersion], bool] = lambda _slot, _desired: False,
    ) -> None:
        """`ended_again` says of an engine that is gone whether loading a version ended it, and not
        for the first time.
        """
        self._ended_again = ended_again
        self._loop = loop
        self._own = own
        self._others = [slot for slot in slots if slot != own]
        self._socket_of = socket_of
        self._desk = NeighbourDesk(loop, socket_of(own), find)
        self._links: dict[str, NeighbourLink] = {}
        self._homes: dict[tuple[str, int], str] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listens, and finds the others. Raises OSError."""
        self._desk.open()
        self._looking = self._loop.create_task(self._look())

    async def leave(self) -> None:
        """Others ask no more, and are asked still; returns when they have their answers."""
        self._desk.leave()
        await self._desk.drain()

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        self._desk.close()
        for link in list(self._links.values()):
            link.close()
        self._links.clear()

    def is_home(self, desired: DesiredVersion) -> bool:
        """Whether this engine holds the version for the others."""
        return self._home(desired) == self._own

    async def answer(
        self,
        desired: DesiredVersion,
        inputs: Sequence[Array],
        deadline: float,
        priority: Priority,
    ) -> Answer | None:
        """What the version's home answers; None when that is this engine, or nobody answers.

        Raises what the version raises.
        """
        home = self._home(desired)
        link = self._links.get(home)
        if link is None:
            return None
        try:
            return await link.ask(desired, inputs, deadline, priority)
        except NotAnswered as error:
            if error.lost and self._ended_again(home, desired):
                # the next one may end as it did
                raise NotReady(
                    f"{desired.model}@{desired.version} ended the engine that loaded it;"
                    " try again later"
                ) from error
            return None

    def _home(self, desired: DesiredVersion) -> str:
        key = (desired.model, desired.version)
        home = self._homes.get(key)
        if home is None:
            home = home_of(f"{desired.model}@{desired.version}", [self._own, *self._links])
            self._homes[key] = home
        return home

    async def _look(self) -> None:
        while True:
            for slot in self._others:
                if slot not in self._links and (found := self._reached(slot)) is not None:
                    link = NeighbourLink(self._loop, found, partial(self._lost, slot))
                    self._links[slot] = link
                    self._homes.clear()
            await asyncio.sleep(LOOK_S)

    def _reached(self, slot: str) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(self._socket_of(slot)))
        except OSError:
            # not there, or about to go, or too busy to be asked: another look will tell
            connection.close()
            return None
        return connection

    def _lost(self, slot: str, link: NeighbourLink) -> None:
        if self._links.get(slot) is link:
            del self._links[slot]
            self._homes.clear()
