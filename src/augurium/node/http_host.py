"""Carries REST: HTTP/1.1 on the event loop of the engine itself.

Processes that listen on the same port share its connections (SO_REUSEPORT).
"""

import asyncio
import time
from email.utils import formatdate

from augurium.core.settings import LimitSettings
from augurium.core.tls import ServerTls
from augurium.node.http_connection import STALLED_S, Handler, HttpConnection, Knows

BACKLOG = 2048
MAX_CONNECTIONS = 8192
SWEEP_S = 1.0
HANDSHAKE_TIMEOUT_S = 10.0


class HttpHost:
    """Listens on one address. An async context manager; leaving it finishes what was accepted."""

    def __init__(
        self,
        handler: Handler,
        limits: LimitSettings,
        address: str,
        port: int,
        tls: ServerTls | None = None,
        knows: Knows | None = None,
    ) -> None:
        self.handler = handler
        self.knows = knows
        self.max_body_bytes = limits.max_body_bytes
        self.stalled_s = STALLED_S
        self.stopping = False
        self.date_line = b""
        self._address = address
        self._port = port
        self._tls = tls
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "HttpHost":
        loop = asyncio.get_running_loop()
        self._tell_time()
        self._server = await loop.create_server(
            lambda: HttpConnection(self, loop),
            self._address,
            self._port,
            backlog=BACKLOG,
            reuse_port=True,
            ssl=self._tls.context if self._tls else None,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if self._tls else None,
        )
        self._sweeper = loop.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops listening; closes idle connections, and busy ones with their answers."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._connections:
            for connection in list(self._connections):
                if not connection.busy:
                    connection.close()
            await asyncio.sleep(0.01)

    def opened(self, connection: HttpConnection) -> bool:
        """Takes a connection in; False when there are too many."""
        self._connections.add(connection)
        return len(self._connections) <= MAX_CONNECTIONS

    def closed(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)

    async def _sweep(self) -> None:
        """Closes idle connections and slow requests; keeps the date and the certificate current."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._tell_time()
            if self._tls is not None:
                self._tls.reload()
            now = time.monotonic()
            for connection in list(self._connections):
                if connection.overdue(now):
                    connection.close()

    def _tell_time(self) -> None:
        self.date_line = f"date: {formatdate(usegmt=True)}\r\n\r\n".encode()
