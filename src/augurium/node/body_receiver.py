"""A large request body, received into one buffer of its announced length without a copy.

The transport reads from the socket into the buffer itself; the parser of the connection does not
see the body. Memory is taken as the bytes arrive, not as they are announced.
"""

import asyncio
from collections.abc import Callable

import numpy as np

# below this a body arrives in one or two reads, and the parser is as good
LEAST_BYTES = 256 * 1024


class BodyReceiver(asyncio.BufferedProtocol):
    """Stands in for `owner` as the transport's protocol until the body is complete."""

    def __init__(
        self, length: int, owner: asyncio.Protocol, complete: Callable[[memoryview], None]
    ) -> None:
        # not bytearray, which writes zeros over all of it first
        self._buffer = np.empty(length, np.uint8).data
        self._length = length
        self._received = 0
        self._owner = owner
        self._complete = complete
        self._transport: asyncio.Transport | None = None

    def take(self, content: bytes) -> None:
        """Bytes of the body that were read together with the head."""
        stop = self._received + len(content)
        self._buffer[self._received : stop] = content
        self._received = stop

    def whole(self) -> memoryview:
        """The body, when all of it has come; nothing may change it."""
        return self._buffer.toreadonly()

    def begin(self, transport: asyncio.Transport) -> None:
        """From here on the transport reads into the buffer."""
        self._transport = transport
        _switch(transport, self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._received :]

    def buffer_updated(self, nbytes: int) -> None:
        self._received += nbytes
        if self._received == self._length and self._transport is not None:
            _switch(self._transport, self._owner)
            body, self._buffer = self.whole(), memoryview(b"")
            # the transport may remember this object for as long as it lives, and with it the body
            self._complete(body)

    def eof_received(self) -> bool | None:
        return self._owner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()


def _switch(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    # a transport that reads goes on reading as its old protocol had it
    transport.pause_reading()
    transport.set_protocol(protocol)
    transport.resume_reading()
