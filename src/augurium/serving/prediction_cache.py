"""What was answered before: bounded by bytes, the least recently used leave first.

Rows are kept by the digest of their inputs, and whole answers by that of the request they were
written for. One engine has one cache for all its versions, so that memory goes where the hits are.
Keys carry the identity of their version (`row_digests.py`), so no version ever sees another's
answers. How long something may be used is for those to say who ask. `shared` is where other engines
and nodes look, if there is such a place.

What is kept is plain tuples of arrays, bytes and numbers: the garbage collector soon stops to look
at them, where a hundred thousand answers as objects made it halt the engine for a fifth of a
second.
"""

import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from augurium.core.inference import HIT, Answer, BatchOutputs
from augurium.core.tensors import Array
from augurium.serving.shared_cache import SharedCache

# of an entry beside its values: key, tuples and the place in the table; measured
ENTRY_BYTES = 400
# of one output beside its values: its tuple, its shape and the head of its bytes; measured
OUTPUT_BYTES = 180

# of one row: when it was computed, its outputs, the bytes they take
RowEntry = tuple[float, tuple[Array, ...], int]
ContentEntry = tuple[float, bytes, int, int]


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
        self._entries: OrderedDict[bytes, RowEntry | ContentEntry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def row(self, key: bytes) -> Answer | None:
        """The answer to one row; its `since` says when it was computed."""
        found = self._find(key)
        if found is None or len(found) != 3:
            return None
        since, outputs, _ = found
        return Answer(BatchOutputs(list(outputs)), cache=HIT, since=since)

    def content(self, key: bytes) -> CachedContent | None:
        """A whole answer."""
        found = self._find(key)
        if found is None or len(found) == 3:
            return None
        since, content, rows, _ = found
        return CachedContent(content, rows, since)

    def put_row(self, key: bytes, outputs: list[Array], since: float | None = None) -> None:
        """Remembers one row's outputs, copies of which are kept; computed now, or at `since`."""
        size_bytes = ENTRY_BYTES + sum(_size_bytes(output) for output in outputs)
        if self._fits(size_bytes):
            since = self.now() if since is None else since
            self._put(key, (since, tuple([output.copy() for output in outputs]), size_bytes))

    def put_content(self, key: bytes, content: CachedContent) -> None:
        """Remembers a whole answer."""
        size_bytes = ENTRY_BYTES + len(content.content)
        if self._fits(size_bytes):
            self._put(key, (content.since, content.content, content.rows, size_bytes))

    def _find(self, key: bytes) -> RowEntry | ContentEntry | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def _fits(self, size_bytes: int) -> bool:
        """What is larger than an eighth of the cache would cost too many others."""
        return size_bytes <= self.max_bytes // 8

    def _put(self, key: bytes, entry: RowEntry | ContentEntry) -> None:
        known = self._entries.pop(key, None)
        if known is not None:
            self.used_bytes -= known[-1]
        self._entries[key] = entry
        self.used_bytes += entry[-1]
        while self.used_bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.used_bytes -= oldest[-1]
            self.evictions += 1


def _size_bytes(output: Array) -> int:
    size = output.nbytes + OUTPUT_BYTES
    if output.dtype.hasobject:
        size += sum(sys.getsizeof(value) for value in output.ravel().tolist())
    return size
