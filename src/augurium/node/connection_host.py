"""Listens on one address and keeps its connections, whatever they speak.

Processes that listen on the same port share its connections (SO_REUSEPORT).
"""

import asyncio
import contextlib
import math
import os
import signal
import socket
import time
from abc import ABC, abstractmethod
from typing import Generic, Protocol, Self, TypeVar

from augurium.core.tls import ServerTls

BACKLOG = 2048
MAX_CONNECTIONS = 8192
SWEEP_S = 1.0
HANDSHAKE_TIMEOUT_S = 10.0
# a peer that is silent for so long is asked whether it is there, so often, at most so many times
KEEPALIVE_IDLE_S, KEEPALIVE_PROBE_S, KEEPALIVE_PROBES = 60, 10, 6
# signals of the supervisor: to leave when the callers have, and to share the callers with others;
# they are told over so long, in so many steps: a thousand at once are as many handshakes at once
LEAVE = signal.SIGUSR2
SHARE_OUT, SHARE_OUT_S, SHARE_OUT_STEPS = signal.SIGUSR1, 1.0, 10
# how long a connection without a request is kept when the process stops: its first may be under way
LINGER_S = 0.1
# how long what was sent may stay unacknowledged, or unread behind a closed window
UNACKNOWLEDGED_S = 120


class Connection(Protocol):
    """What a host does with its connections."""

    @property
    def busy(self) -> bool:
        """Whether a request is being answered; one that is still arriving was not accepted."""
        ...

    def sweep(self, now: float) -> None:
        """Ends what was silent, or took for one request, longer than it may."""
        ...

    def end(self) -> None:
        """Tells the peer to go elsewhere with what comes next; what was accepted is answered."""
        ...

    def close(self) -> None:
        """Sends what was written and closes."""
        ...


C = TypeVar("C", bound=Connection)


class ConnectionHost(ABC, Generic[C]):
    """An async context manager; leaving it finishes what was accepted."""

    def __init__(self, address: str, port: int, tls: ServerTls | None = None) -> None:
        self.stopping = False
        self._address = address
        self._port = port
        self._tls = tls
        self._connections: set[C] = set()
        self._server: asyncio.Server | None = None
        self._emptied = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None
        self._taking_in: list[asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]]] = []

    @abstractmethod
    def _connect(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """A protocol for a new connection."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._turn()
        self._server = await loop.create_server(
            lambda: self._connect(loop),
            self._address,
            self._port,
            backlog=BACKLOG,
            reuse_port=True,
            ssl=self._tls.context if self._tls else None,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if self._tls else None,
        )
        for listening in self._server.sockets:
            _notice_the_dead(listening)
        self._sweeper = loop.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops listening; closes busy connections with their answers, and idle ones after the time
        that a request needs which is on its way.
        """
        self.leave()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*self._taking_in, return_exceptions=True)
        patience = time.monotonic() + LINGER_S
        while self._connections:
            if time.monotonic() > patience:
                for connection in list(self._connections):
                    if not connection.busy:
                        connection.close()
            await asyncio.sleep(0.01)

    def turn_away(self) -> None:
        """Tells every peer to go elsewhere with what comes next, while it still listens."""
        for connection in list(self._connections):
            connection.end()

    async def share_out(self) -> None:
        """Tells the peers there are now to come again, a few at a time, so that processes that
        joined since get their share.
        """
        waiting = list(self._connections)
        share = max(1, math.ceil(len(waiting) / SHARE_OUT_STEPS))
        for place in range(0, len(waiting), share):
            for connection in waiting[place : place + share]:
                connection.end()
            await asyncio.sleep(SHARE_OUT_S / SHARE_OUT_STEPS)

    def leave(self) -> None:
        """Stops listening, and tells every peer to go elsewhere with what comes next."""
        self.stopping = True
        if self._server is not None:
            self._take_in(self._server)
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.end()

    def opened(self, connection: C) -> bool:
        """Takes a connection in; False when there are too many."""
        self._connections.add(connection)
        return len(self._connections) <= MAX_CONNECTIONS

    def closed(self, connection: C) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if self.stopping and not self._connections:
            self._emptied.set()

    async def emptied(self) -> None:
        """Returns when every peer is gone; for who has left."""
        if self._connections:
            await self._emptied.wait()

    def _take_in(self, server: asyncio.Server) -> None:
        """Accepts the connections that are made and wait: the system would cut them off, for it
        gives them to nobody else who listens on the port.
        """
        loop = asyncio.get_running_loop()
        for listening in server.sockets:
            waiting = socket.socket(fileno=os.dup(listening.fileno()))
            with waiting, contextlib.suppress(OSError):
                while True:
                    made, _ = waiting.accept()
                    made.setblocking(False)
                    self._taking_in.append(
                        loop.create_task(
                            loop.connect_accepted_socket(
                                lambda: self._connect(loop),
                                made,
                                ssl=self._tls.context if self._tls else None,
                                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if self._tls else None,
                            )
                        )
                    )

    def _turn(self) -> None:
        """What is done at the start and once a second."""

    async def _sweep(self) -> None:
        """Ends what is overdue; keeps the certificate current."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._turn()
            if self._tls is not None:
                self._tls.reload()
            now = time.monotonic()
            for connection in list(self._connections):
                connection.sweep(now)


def _notice_the_dead(listening: socket.socket) -> None:
    """Connections take these over from the socket that accepts them: a peer whose machine is gone
    would otherwise never be missed. Source: Linux, tcp(7).
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_PROBE_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", 1000 * UNACKNOWLEDGED_S),
    ):
        if hasattr(socket, option):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
