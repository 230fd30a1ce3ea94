"""Server-sent events, and the replies of a streamed prediction in them.

Source: WHATWG HTML, section 9.2 "Server-sent events"; Triton's generate extension for what stands
in an event.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from augurium.client.errors import error_of_kind
from augurium.client.prediction_call import reply_fields
from augurium.client.replies import StreamReply
from augurium.core.errors import AuguriumError, ErrorKind

ABOUT = frozenset({"model_name", "model_version", "id"})  # not outputs of the model
_line_end = re.compile(rb"\r\n|\n|\r")


class EventStream:
    """Cuts what arrives into events; other fields than `data` are left aside."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._after_return = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that end in this piece."""
        if not piece:
            return
        if self._after_return:
            # the other half of a line end that came in two pieces
            piece = piece.removeprefix(b"\n")
        self._after_return = piece.endswith(b"\r")
        first, *others = _line_end.split(piece)
        self._line.append(first)
        for beginning in others:
            line = b"".join(self._line)
            self._line = [beginning]
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data = []


class GenerateReader:
    """Reads the answer to `generate_stream`, piece by piece."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._about = reply_fields(headers)
        self._events = EventStream()

    def __call__(self, piece: bytes) -> Iterator[StreamReply]:
        """The replies that end in this piece. Raises the error that stands in place of one."""
        for data in self._events.feed(piece):
            yield self._reply(data)

    def _reply(self, data: bytes) -> StreamReply:
        try:
            found = msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AuguriumError(f"an event of the answer cannot be read: {error}") from error
        if isinstance(found.get("error"), str) and "model_name" not in found:
            kind = found.get("kind", ErrorKind.INTERNAL.value)
            raise error_of_kind(str(kind), found["error"])
        version = str(found.get("model_version", ""))
        about = {"version": int(version)} if version.isdecimal() else {}
        outputs = {name: value for name, value in found.items() if name not in ABOUT}
        return StreamReply(outputs=outputs, **(self._about | about))
