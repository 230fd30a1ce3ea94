"""What was answered before: bounded by bytes, the least recently used leave first.

Rows are kept by the digest of their inputs, and whole answers by that of the request they were
written for. One engine has one cache for all its versions, so that memory goes where the hits are.
Keys carry the identity of their version (`row_digests.py`), so no version ever sees another's
answers. How long something may be used is for those to say who ask. `shared` is where other engines
and nodes look, if there is such a place.
"""

import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from augurium.core.inference import HIT, Answer, BatchOutputs
from augurium.core.tensors import Array
from augurium.serving.shared_cache import SharedCache

# of an entry beside its values: key, tuples, arrays' heads and the place in the table; measured
ENTRY_BYTES = 600
# of one value in the list that an answer keeps once it was written as JSON: a pointer, a number
LISTED_BYTES = 32


class CachedContent(NamedTuple):
    """An answer as it is written, and of how many rows; `since` is when the first of them was
    computed, in seconds of the monotonic clock.
    """

    content: bytes
    rows: int
    since: float


class PredictionCache:
    """Finds rows and contents by their digests. Lives on one event loop."""

    def __init__(
        self,
        max_bytes: int,
        now: Callable[[], float] = time.monotonic,
        shared: SharedCache | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.now = now
        self.shared = shared
        # whether any model's policy wants it
        self.wanted = False
        self._entries: OrderedDict[bytes, tuple[Answer | CachedContent, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def row(self, key: bytes) -> Answer | None:
        """The answer to one row; its `since` says when it was computed."""
        found = self._find(key)
        return found if isinstance(found, Answer) else None

    def content(self, key: bytes) -> CachedContent | None:
        """A whole answer."""
        found = self._find(key)
        return found if isinstance(found, CachedContent) else None

    def put_row(self, key: bytes, outputs: list[Array], since: float | None = None) -> None:
        """Remembers one row's outputs, copies of which are kept; computed now, or at `since`."""
        size_bytes = ENTRY_BYTES + sum(_size_bytes(output) for output in outputs)
        if self._fits(size_bytes):
            copies = BatchOutputs([output.copy() for output in outputs])
            since = self.now() if since is None else since
            self._put(key, Answer(copies, cache=HIT, since=since), size_bytes)

    def put_content(self, key: bytes, content: CachedContent) -> None:
        """Remembers a whole answer."""
        size_bytes = ENTRY_BYTES + len(content.content)
        if self._fits(size_bytes):
            self._put(key, content, size_bytes)

    def _find(self, key: bytes) -> Answer | CachedContent | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def _fits(self, size_bytes: int) -> bool:
        """What is larger than an eighth of the cache would cost too many others."""
        return size_bytes <= self.max_bytes // 8

    def _put(self, key: bytes, found: Answer | CachedContent, size_bytes: int) -> None:
        known = self._entries.pop(key, None)
        if known is not None:
            self.used_bytes -= known[1]
        self._entries[key] = found, size_bytes
        self.used_bytes += size_bytes
        while self.used_bytes > self.max_bytes:
            _, (_, oldest_bytes) = self._entries.popitem(last=False)
            self.used_bytes -= oldest_bytes
            self.evictions += 1


def _size_bytes(output: Array) -> int:
    size = output.nbytes + output.size * LISTED_BYTES
    if output.dtype.hasobject:
        size += sum(sys.getsizeof(value) for value in output.ravel().tolist())
    return size
