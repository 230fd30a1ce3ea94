"""The header blocks of one HTTP/2 connection: decoded once, remembered while they mean the same.

Source: RFC 7541 (HPACK); RFC 9113, section 8.2 (what a well-formed request is).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hpack import Decoder, HPACKError

MOST_REMEMBERED = 256
PSEUDO = frozenset({":method", ":path", ":scheme", ":authority"})
# they speak of one connection of HTTP/1.1, and have no place here
FORBIDDEN = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


class Damaged(Exception):
    """A block that cannot be decoded: from here on nobody knows what the peer's blocks mean."""


class RequestHead(NamedTuple):
    """Method, path and headers, names in lower case; of a header sent twice the values are joined.

    `malformed` says what is not as it must be.
    """

    method: str
    path: str
    headers: dict[str, str]
    malformed: str = ""


class HeaderBlocks:
    """Decodes the blocks of a connection, in their order.

    Callers of gRPC send the same few bytes with each call; decoding these costs more than
    everything else of a frame. A block means the same until one changes the table of remembered
    fields.
    """

    def __init__(self, max_bytes: int) -> None:
        self._decoder = Decoder(max_bytes)
        self._known: dict[bytes, RequestHead] = {}

    def decode(self, block: bytes) -> RequestHead:
        """Raises Damaged."""
        found = self._known.get(block)
        if found is not None:
            return found
        entries = self._decoder.header_table.dynamic_entries
        before = (self._decoder.header_table.maxsize, len(entries))
        # held, so that no new entry can take its place in memory
        front = entries[0] if entries else None
        try:
            # raw: each is a pair of bytes
            fields: Iterable[Any] = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise Damaged(str(error) or type(error).__name__) from error
        head = _request_head(fields)
        table = self._decoder.header_table
        entries = table.dynamic_entries
        same = (table.maxsize, len(entries)) == before and (not entries or entries[0] is front)
        if not same or len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if same:
            self._known[block] = head
        return head


def _request_head(fields: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    found: dict[str, str] = {}
    malformed = ""
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        pseudo = name.startswith(":")
        if pseudo and (name in found or name not in PSEUDO or _has_regular(found)):
            malformed = "a pseudo-header that is unknown, late or sent twice"
        elif name in FORBIDDEN or name != name.lower() or not name:
            malformed = f"header '{name[:32]}' has no place in HTTP/2"
        elif any(character in value for character in "\r\n\0"):
            malformed = f"header '{name[:32]}' holds a line break"
        elif name in found:
            found[name] += ", " + value
        else:
            found[name] = value
    method, path = found.pop(":method", ""), found.pop(":path", "")
    if not (method and path.startswith("/") and ":scheme" in found):
        malformed = malformed or "a request without :method, :scheme or :path"
    return RequestHead(method, path, found, malformed)


def _has_regular(found: dict[str, str]) -> bool:
    return any(not name.startswith(":") for name in found)
