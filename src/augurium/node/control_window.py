"""Where the supervisor tells control how its engines stand, and hears how the node does."""

import asyncio
from pathlib import Path

import msgspec

from augurium.control.supervision import Report, Standing
from augurium.core.errors import NotReady

TIMEOUT_S = 2.0


class ControlWindow:
    """One exchange at a time, each over a connection of its own: control may be restarted."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    async def tell(self, report: Report) -> Standing:
        """Reports, and gives the answer. Raises NotReady while control is away."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(msgspec.json.encode(report))
                    writer.write_eof()
                    return msgspec.json.decode(await reader.read(), type=Standing)
                finally:
                    writer.close()
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            raise NotReady("control does not answer") from error
