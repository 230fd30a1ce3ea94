"""One request of an HTTP/2 connection: what has arrived of its body, and what may be sent."""

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import Buffer

from augurium.node import http2_frames as frames
from augurium.node.body_budget import SMALL_BODY_BYTES, BodyShare
from augurium.node.http2_headers import RequestHead

if TYPE_CHECKING:
    from augurium.node.http2_connection import Http2Connection


class StreamReset(Exception):
    """The caller has given the request up, or has broken a rule."""


class Stream:
    """The body arrives in `body`; `ended` says that nothing more will come.

    `window` is what the caller takes before it grants more, `uncredited` what has arrived without
    being granted anew. `kept` is False for a body that nobody will read,
    `streamed` True for a request that is answered while its body arrives.
    """

    __slots__ = (
        "_connection", "_news", "_opening", "_share", "arrived", "began", "body", "closed", "ended",
        "head", "id", "kept", "streamed", "task", "uncredited", "window",
    )  # fmt: skip

    def __init__(
        self, connection: "Http2Connection", number: int, head: RequestHead, window: int, now: float
    ) -> None:
        self._connection = connection
        self._share: BodyShare | None = None
        self._news: asyncio.Future[None] | None = None
        self._opening: asyncio.Future[None] | None = None
        self.id = number
        self.head = head
        self.window = window
        self.began = now
        self.body: bytes | bytearray = b""
        self.arrived = 0
        self.uncredited = 0
        self.kept = True
        self.ended = False
        self.streamed = False
        self.closed = False
        self.task: asyncio.Task[None] | None = None

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """The names in the caller's certificate, if it showed one that is trusted."""
        return self._connection.caller

    def take(self, data: bytes) -> None:
        """More of the body has arrived."""
        self.arrived += len(data)
        self.uncredited += len(data)
        if not self.kept:
            return
        if isinstance(self.body, bytearray):
            self.body += data
        else:
            # joined as it comes: a flood of tiny frames must not become a list of as many
            self.body = bytearray(self.body + data) if self.body else data

    def discard(self) -> None:
        """Lets go of the body; what still comes is thrown away."""
        self.kept = False
        self.body = b""
        self.hold(0)

    def hold(self, size: int) -> bool:
        """Counts `size` bytes of this request as held, no longer those before; False where there is
        no room for them.
        """
        if self._share is None:
            if size <= SMALL_BODY_BYTES:
                return True
            self._share = BodyShare(self._connection.bodies)
        return self._share.hold(size)

    def tell(self) -> None:
        """Wakes whoever waits for more of the body."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def widened(self) -> None:
        """Wakes whoever waits to send more."""
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(None)

    async def more(self) -> None:
        """Grants the caller as much as has arrived, and waits for news: more of it, or its end."""
        self._connection.credit(self)
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def answer(self, content: bytes, last: bool = True) -> None:
        """Sends frames that need no window: headers, or a small body with them."""
        self._connection.write(content)
        if last:
            self._connection.finished(self)

    def fits(self, size: int) -> bool:
        """Whether a body of `size` bytes may go out at once, in one frame."""
        return self._connection.fits(self, size)

    def spend(self, size: int) -> None:
        """Counts bytes that go out with `answer`."""
        self.window -= size
        self._connection.window -= size

    async def send(self, data: Buffer) -> None:
        """Sends a piece of the body, as the windows allow. Raises StreamReset."""
        rest = memoryview(data).cast("B")
        while rest:
            size = await self._allowed(len(rest))
            self._connection.write_data(self, rest[:size])
            rest = rest[size:]

    async def _allowed(self, wanted: int) -> int:
        while True:
            if self.closed:
                raise StreamReset
            await self._connection.writable()
            size = min(wanted, self._connection.room(self))
            if size > 0:
                return size
            self._opening = asyncio.get_running_loop().create_future()
            await self._opening

    def reset(self, code: frames.Code) -> None:
        """Gives the request up."""
        self._connection.reset(self, code)
