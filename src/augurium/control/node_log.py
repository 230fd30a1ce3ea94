"""Where the logs of a node begin, in control and in every engine."""

import asyncio
from typing import get_args, get_type_hints

import structlog

from augurium.control.link_hub import SETTLE_TIMEOUT_S, LinkHub
from augurium.control.snapshots import Snapshots
from augurium.control.transfers import Note
from augurium.core.errors import InvalidArgument
from augurium.core.logs import LogSwitch
from augurium.core.settings import LogSettings

LEVELS: tuple[str, ...] = get_args(get_type_hints(LogSettings)["level"])
log = structlog.get_logger()


class NodeLog:
    """Holds until control or the node is started again: then the settings count."""

    def __init__(self, switch: LogSwitch, snapshots: Snapshots, hub: LinkHub, note: Note) -> None:
        self._switch = switch
        self._snapshots = snapshots
        self._hub = hub
        self._note = note
        self._changing = asyncio.Lock()

    @property
    def level(self) -> str:
        """The level from which on is logged."""
        return self._switch.level

    async def set(self, level: str, actor: str) -> None:
        """Returns when the engines that answer log from this level on. Raises InvalidArgument."""
        if level not in LEVELS:
            raise InvalidArgument(f"log level must be one of {', '.join(LEVELS)}")
        async with self._changing:
            if level == self.level:
                return
            previous = self.level
            await asyncio.to_thread(self._record, level, actor)
            self._snapshots.log_level = level
            self._switch.set(level)
            revision = await self._snapshots.publish()
            await self._hub.settle(revision, SETTLE_TIMEOUT_S)
        log.warning("log level changed", to=level, previous=previous, by=actor)

    def _record(self, level: str, actor: str) -> None:
        details = {"level": level, "previous": self.level}
        with self._note(actor, "set_log_level", "", None, details):
            pass
