"""Carries REST: HTTP/1.1 on the event loop of the engine itself."""

import asyncio
from email.utils import formatdate

from augurium.core.settings import LimitSettings
from augurium.core.tls import ServerTls
from augurium.node.body_budget import BodyBudget
from augurium.node.connection_host import ConnectionHost
from augurium.node.http_connection import STALLED_S, Handler, HttpConnection, Knows


class HttpHost(ConnectionHost[HttpConnection]):
    """Answers HTTP on one address."""

    def __init__(
        self,
        handler: Handler,
        limits: LimitSettings,
        address: str,
        port: int,
        tls: ServerTls | None = None,
        knows: Knows | None = None,
        bodies: BodyBudget | None = None,
    ) -> None:
        """`bodies` is what it shares with other hosts of this process."""
        super().__init__(address, port, tls)
        self.handler = handler
        self.knows = knows
        self.max_body_bytes = limits.max_body_bytes
        self.bodies = bodies or BodyBudget(limits.max_bytes_in_flight)
        self.stalled_s = STALLED_S
        self.date_line = b""

    def turn_away(self) -> None:
        """Every answer from now on is the last of its connection, also of those that still come."""
        self.stopping = True

    def _connect(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        return HttpConnection(self, loop)

    def _turn(self) -> None:
        self.date_line = f"date: {formatdate(usegmt=True)}\r\n\r\n".encode()
