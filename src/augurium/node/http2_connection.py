"""One HTTP/2 connection: frames in, requests to the host, frames out.

Everything happens on the event loop that runs the models: a call crosses no thread. What is written
in one turn of the loop goes out together. Source: RFC 9113 (HTTP/2).
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

import structlog

from augurium.core.tls import certificate_names
from augurium.node import http2_frames as frames
from augurium.node.body_budget import SMALL_BODY_BYTES, BodyBudget
from augurium.node.http2_frames import Code, Kind, Setting
from augurium.node.http2_headers import Damaged, HeaderBlocks, RequestHead
from augurium.node.http2_stream import Stream, StreamReset

MAX_STREAMS = 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_HEAD_FRAMES = 16
FRAME_BYTES = 256 * 1024
STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 16 * 1024 * 1024
# frames that cost us and not the peer: this many at once, and as many a second
PATIENCE = 2000.0
PATIENCE_PER_S = 1000.0
FIRST_WORDS_S = 10.0
IDLE_S = 3600.0
# beyond the longest time for an answer: to send the request, and to read the answer
GRACE_S = 60.0
# joined into one piece before they are written
SMALL_BYTES = 64 * 1024

HELLO = frames.settings(
    {
        Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        Setting.MAX_FRAME_SIZE: FRAME_BYTES,
        Setting.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
    }
) + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
NOT_HTTP2 = (
    b"HTTP/1.1 415 Unsupported Media Type\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 28\r\nconnection: close\r\n\r\nthis port answers gRPC only\n"
)

log = structlog.get_logger()


class Broken(Exception):
    """The peer broke a rule of the protocol; the connection ends with `code`."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class Http2Host(Protocol):
    """What a connection needs of its host."""

    max_body_bytes: int
    request_timeout_s: float
    bodies: BodyBudget

    def is_streamed(self, head: RequestHead) -> bool:
        """Whether a request is answered while its body arrives, and may take any time."""
        ...

    def large(self, stream: Stream) -> None:
        """A request's body is no longer small."""
        ...

    def answer(self, stream: Stream) -> Awaitable[None]:
        """Answers a request; raises nothing but cancellation and StreamReset."""
        ...

    def opened(self, connection: "Http2Connection") -> bool:
        """Whether there is room for one more."""
        ...

    def closed(self, connection: "Http2Connection") -> None: ...


class Http2Connection(asyncio.Protocol):
    """Answers the requests of one connection, side by side.

    `window` is how much the peer takes before it grants more, over all streams.
    """

    def __init__(self, host: Http2Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self.bodies = host.bodies
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._blocks = HeaderBlocks(MAX_HEAD_BYTES)
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._rest = b""
        self._greeted = False
        self._settled = False
        self._ending = False
        self._told = False
        # of a DATA frame that has arrived in part: its stream, the bytes to come, and its flags
        self._in_data: tuple[int, int, int] | None = None
        # of a block in several frames: its stream, flags of the first, what came, how many frames
        self._in_head: tuple[int, int, bytes, int] | None = None
        self._uncredited = 0
        self._peer_window = frames.DEFAULT_WINDOW
        self._peer_frame_bytes = frames.DEFAULT_FRAME_BYTES
        self._out: list[bytes | memoryview] = []
        self._flush_due = False
        self._pause: asyncio.Event | None = None
        self._patience = PATIENCE
        self._active = self._counted = time.monotonic()
        self.window = frames.DEFAULT_WINDOW
        self.caller: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return any(stream.task is not None for stream in self._streams.values())

    def sweep(self, now: float) -> None:
        """Ends what was silent, or took for one request, longer than it may."""
        if not self._settled:
            if now - self._active > FIRST_WORDS_S:
                self.close()
            return
        if not self._streams and now - self._active > IDLE_S:
            self.end()
        if self._told and not self._streams:
            self.close()
        oldest = now - self._host.request_timeout_s - GRACE_S
        for stream in [s for s in self._streams.values() if s.began < oldest and not s.streamed]:
            # neither a body that does not come nor a caller that does not read may stay for ever
            self.reset(stream, Code.CANCEL)

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.caller = certificate_names(transport.get_extra_info("peercert"))
        if not self._host.opened(self):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.closed(self)
        self._out.clear()
        for stream in list(self._streams.values()):
            self._drop(stream)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._pause = asyncio.Event()

    def resume_writing(self) -> None:
        if self._pause is not None:
            self._pause.set()
            self._pause = None

    def data_received(self, data: bytes) -> None:
        self._active = time.monotonic()
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if self._ending:
            return
        try:
            at = 0 if self._greeted else self._greet(data)
            if at >= 0:
                self._rest = self._read(data, at)
        except Broken as error:
            log.info("connection ended", code=error.code.name, reason=str(error))
            self._goodbye(error.code, str(error))

    # what streams call

    def write(self, content: bytes | memoryview) -> None:
        """Sends at the end of this turn of the loop."""
        self._out.append(content)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def write_data(self, stream: Stream, data: memoryview) -> None:
        """Sends a DATA frame."""
        size = len(data)
        stream.window -= size
        self.window -= size
        self.write(frames.head.pack(size << 8, 0, stream.id))
        self.write(data)

    def fits(self, stream: Stream, size: int) -> bool:
        """Whether `size` bytes of a body may go out at once, in one frame."""
        return self._pause is None and size <= self.room(stream)

    def room(self, stream: Stream) -> int:
        """How many bytes the next DATA frame may have; 0 or less while a window is closed."""
        return min(stream.window, self.window, self._peer_frame_bytes)

    async def writable(self) -> None:
        """Returns when the peer has read most of what was written."""
        while self._pause is not None:
            await self._pause.wait()

    def credit(self, stream: Stream) -> None:
        """Lets the peer send as much again as has arrived on this stream."""
        if stream.uncredited and not stream.ended and not stream.closed:
            self.write(frames.window_update(stream.id, stream.uncredited))
            stream.uncredited = 0

    def finished(self, stream: Stream) -> None:
        """The answer is written, with its end."""
        if not stream.closed:
            if not stream.ended:
                # the rest of the request is not wanted (RFC 9113, section 8.1)
                self.write(frames.reset(stream.id, Code.NO_ERROR))
            stream.closed = True
            stream.hold(0)
            self._streams.pop(stream.id, None)

    def reset(self, stream: Stream, code: Code) -> None:
        """Gives a request up."""
        if not stream.closed:
            self.write(frames.reset(stream.id, code))
            self._drop(stream)

    def end(self) -> None:
        """Tells the peer to go elsewhere with what comes next; what was accepted is answered."""
        if not self._told:
            self._told = True
            self.write(frames.goaway(self._last, Code.NO_ERROR))
        # they look whether the server stops, each time
        for stream in self._streams.values():
            stream.tell()

    def close(self) -> None:
        """Sends what was written and closes."""
        self._ending = True
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # frames in

    def _greet(self, data: bytes) -> int:
        """Where the frames begin; -1 while that is not known."""
        size = len(frames.PREFACE)
        if not frames.PREFACE.startswith(data[:size]):
            self.write(NOT_HTTP2)
            self.close()
            return -1
        if len(data) < size:
            self._rest = data
            return -1
        self._greeted = True
        self.write(HELLO)
        return size

    def _read(self, data: bytes, at: int) -> bytes:
        """Takes frame after frame; returns what is left of the last one."""
        end = len(data)
        if self._in_data is not None:
            at = self._continue_data(data, at)
        unpack = frames.head.unpack_from
        while end - at >= frames.HEAD_BYTES:
            length_kind, flags, number = unpack(data, at)
            length, kind = length_kind >> 8, length_kind & 0xFF
            number &= 0x7FFFFFFF
            start = at + frames.HEAD_BYTES
            stop = start + length
            if length > MAX_HEAD_BYTES and (
                length > FRAME_BYTES or kind != Kind.DATA or flags & frames.PADDED
            ):
                raise Broken(Code.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            if self._in_head is not None and kind != Kind.CONTINUATION:
                raise Broken(Code.PROTOCOL_ERROR, "a block of headers was left unfinished")
            if kind == Kind.DATA and self._settled:
                if stop <= end:
                    self._take_data(number, flags, data[start:stop])
                elif not flags & frames.PADDED:
                    # as it comes: a large frame need not be gathered first
                    self._in_data = (number, stop - start, flags)
                    self._count_data(number, length)
                    self._continue_data(data, start)
                    return b""
                else:
                    break
            elif stop > end:
                break
            else:
                self._take(kind, flags, number, data[start:stop])
            at = stop
        return data[at:]

    def _continue_data(self, data: bytes, at: int) -> int:
        number, left, flags = self._in_data or (0, 0, 0)
        stop = min(len(data), at + left)
        left -= stop - at
        self._in_data = (number, left, flags) if left else None
        self._body(number, data[at:stop], bool(flags & frames.END_STREAM) and not left)
        return stop

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Any frame but DATA."""
        if not self._settled and kind != Kind.SETTINGS:
            raise Broken(Code.PROTOCOL_ERROR, "the first frame was not SETTINGS")
        if kind == Kind.HEADERS:
            self._take_headers(flags, number, payload)
        elif kind == Kind.WINDOW_UPDATE:
            self._take_window_update(number, payload)
        elif kind == Kind.PING:
            self._take_ping(flags, number, payload)
        elif kind == Kind.SETTINGS:
            self._take_settings(flags, number, payload)
        elif kind == Kind.RST_STREAM:
            self._take_reset(number, payload)
        elif kind == Kind.CONTINUATION:
            self._take_continuation(flags, number, payload)
        elif kind == Kind.PUSH_PROMISE:
            raise Broken(Code.PROTOCOL_ERROR, "a caller cannot push")
        elif kind == Kind.PRIORITY:
            self._spend()
        # GOAWAY needs no answer; unknown kinds are ignored (RFC 9113, section 4.1)

    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        self._count_data(number, size)
        if flags & frames.PADDED:
            payload = _unpadded(payload)
            stream = self._streams.get(number)
            if stream is not None:
                stream.uncredited += size - len(payload)
        self._body(number, payload, bool(flags & frames.END_STREAM))

    def _count_data(self, number: int, size: int) -> None:
        """Flow control of the connection, which also counts what is ignored."""
        if number == 0 or number > self._last:
            raise Broken(Code.PROTOCOL_ERROR, f"DATA on stream {number}, which was not opened")
        self._uncredited += size
        if self._uncredited > CONNECTION_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR, "more DATA than was granted")
        if self._uncredited >= CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self._uncredited))
            self._uncredited = 0

    def _body(self, number: int, data: bytes, last: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:  # it was answered or given up already
            return
        if stream.ended:
            self.reset(stream, Code.STREAM_CLOSED)
            return
        if not data and not last:
            self._spend()
        stream.take(data)
        if stream.uncredited > STREAM_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR, f"more DATA than was granted to {number}")
        if stream.arrived > SMALL_BODY_BYTES >= stream.arrived - len(data):
            self._host.large(stream)
        if stream.task is None and stream.arrived > SMALL_BODY_BYTES and not self._held(stream):
            stream.ended = last
            return
        if last:
            self._end_of_body(stream)
        elif stream.task is None:
            self._gather(stream)
        else:
            stream.tell()

    def _held(self, stream: Stream) -> bool:
        """Whether there is room for what has arrived of a body that is answered when it is whole;
        without it the request is answered now, with an error.
        """
        if not stream.kept or stream.hold(stream.arrived):
            return True
        stream.discard()
        self._start(stream)
        return False

    def _gather(self, stream: Stream) -> None:
        """More of a body that is answered when it is whole."""
        if stream.arrived > self._host.max_body_bytes and stream.kept:
            stream.discard()
            self._start(stream)
        elif stream.uncredited >= STREAM_WINDOW // 2:
            self.credit(stream)

    def _end_of_body(self, stream: Stream) -> None:
        stream.ended = True
        if stream.task is None:
            self._start(stream)
        else:
            stream.tell()

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = _unpadded(payload)
        if flags & frames.PRIORITY:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._head(number, flags, payload)
        else:
            self._in_head = (number, flags, payload, 1)

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._in_head is None or self._in_head[0] != number:
            raise Broken(Code.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, block, count = self._in_head
        block += payload
        if len(block) > MAX_HEAD_BYTES or count >= MAX_HEAD_FRAMES:
            raise Broken(Code.ENHANCE_YOUR_CALM, "a block of headers without end")
        if flags & frames.END_HEADERS:
            self._in_head = None
            self._head(number, first_flags, block)
        else:
            self._in_head = (number, first_flags, block, count + 1)

    def _head(self, number: int, flags: int, block: bytes) -> None:
        """A whole block: it is decoded in any case, because later ones stand on it."""
        try:
            head = self._blocks.decode(block)
        except Damaged as error:
            raise Broken(Code.COMPRESSION_ERROR, f"headers cannot be read: {error}") from error
        ended = bool(flags & frames.END_STREAM)
        if number <= self._last and number:
            self._trailers(number, ended)
            return
        if not number % 2:
            raise Broken(Code.PROTOCOL_ERROR, f"stream {number} is not a caller's")
        self._last = number
        if head.malformed:
            self._spend()
            self.write(frames.reset(number, Code.PROTOCOL_ERROR))
        elif len(self._streams) >= MAX_STREAMS:
            self._spend()
            self.write(frames.reset(number, Code.REFUSED_STREAM))
        else:
            self._open(number, head, ended)

    def _open(self, number: int, head: RequestHead, ended: bool) -> None:
        stream = Stream(self, number, head, self._peer_window, self._active)
        self._streams[number] = stream
        stream.ended = ended
        stream.streamed = self._host.is_streamed(head)
        if stream.streamed or ended:
            self._start(stream)

    def _trailers(self, number: int, ended: bool) -> None:
        """Headers after the body; they say nothing but that it ends."""
        stream = self._streams.get(number)
        if stream is None:
            return
        if stream.ended or not ended:
            self.reset(stream, Code.PROTOCOL_ERROR)
        else:
            self._end_of_body(stream)

    def _take_window_update(self, number: int, payload: bytes) -> None:
        increment = _number(payload) & 0x7FFFFFFF
        if number == 0:
            self.window += increment
            if not increment or self.window > frames.LARGEST_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "a window that cannot be")
            for stream in self._streams.values():
                stream.widened()
            return
        if number > self._last:
            raise Broken(Code.PROTOCOL_ERROR, f"a window for stream {number}, which was not opened")
        found = self._streams.get(number)
        if found is None:
            return
        found.window += increment
        if not increment or found.window > frames.LARGEST_WINDOW:
            self.reset(found, Code.FLOW_CONTROL_ERROR)
        else:
            found.widened()

    def _take_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise Broken(Code.FRAME_SIZE_ERROR, "a PING that is none")
        if not flags & frames.ACK:
            self._spend()
            self.write(frames.frame(Kind.PING, frames.ACK, 0, payload))

    def _take_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise Broken(Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            return
        if len(payload) % frames.setting.size:
            raise Broken(Code.FRAME_SIZE_ERROR, "SETTINGS that are none")
        self._spend()
        self._settled = True
        for name, value in frames.setting.iter_unpack(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                self._set_peer_window(value)
            elif name == Setting.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
                    raise Broken(Code.PROTOCOL_ERROR, f"MAX_FRAME_SIZE of {value}")
                self._peer_frame_bytes = value
            elif name == Setting.ENABLE_PUSH and value > 1:
                raise Broken(Code.PROTOCOL_ERROR, f"ENABLE_PUSH of {value}")
        self.write(frames.frame(Kind.SETTINGS, frames.ACK, 0))

    def _set_peer_window(self, value: int) -> None:
        if value > frames.LARGEST_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE of {value}")
        change, self._peer_window = value - self._peer_window, value
        for stream in self._streams.values():
            stream.window += change
            if stream.window > frames.LARGEST_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "a window that cannot be")
            stream.widened()

    def _take_reset(self, number: int, payload: bytes) -> None:
        _number(payload)
        if number == 0 or number > self._last:
            raise Broken(Code.PROTOCOL_ERROR, f"stream {number} was reset before it was opened")
        self._spend()
        stream = self._streams.get(number)
        if stream is not None:
            self._drop(stream)

    def _spend(self) -> None:
        """Counts a frame that costs us more than the peer; a flood of them ends the connection."""
        now = self._active
        self._patience = min(PATIENCE, self._patience + (now - self._counted) * PATIENCE_PER_S) - 1
        self._counted = now
        if self._patience < 0:
            raise Broken(Code.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    # requests

    def _start(self, stream: Stream) -> None:
        stream.task = self._loop.create_task(self._answer(stream))

    async def _answer(self, stream: Stream) -> None:
        try:
            await self._host.answer(stream)
        except StreamReset:
            pass
        except Exception:  # the edge of the process: a fault of ours must not take the engine down
            log.exception("call failed", path=stream.head.path[:128])
        finally:
            if not stream.closed:  # it was given up in the middle
                self.reset(stream, Code.INTERNAL_ERROR)

    def _drop(self, stream: Stream) -> None:
        """Forgets a request and ends what is done for it."""
        stream.closed = True
        stream.hold(0)
        self._streams.pop(stream.id, None)
        stream.tell()
        stream.widened()
        if stream.task is not None:
            stream.task.cancel()

    def _goodbye(self, code: Code, text: str) -> None:
        self.write(frames.goaway(self._last, code, text[:256]))
        for stream in list(self._streams.values()):
            self._drop(stream)
        self.close()

    def _flush(self) -> None:
        self._flush_due = False
        out, self._out = self._out, []
        if not out or self._transport is None or self._transport.is_closing():
            return
        if len(out) == 1 or sum(map(len, out)) <= SMALL_BYTES:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)


def _unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise Broken(Code.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _number(payload: bytes) -> int:
    if len(payload) != frames.number.size:
        raise Broken(Code.FRAME_SIZE_ERROR, f"a frame of {len(payload)} bytes, expected 4")
    return int.from_bytes(payload)
