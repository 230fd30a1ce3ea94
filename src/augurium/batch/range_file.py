"""An object as a file: it is read in ranges, several at a time, and ahead of who reads on."""

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

RANGE_BYTES = 8 * 1024 * 1024
PARALLEL = 4
ReadRange = Callable[[int, int], bytes]


class RangeFile(io.RawIOBase):
    """`read_range` gives the bytes from a start up to a stop, all of them, or raises.

    Large reads are cut into ranges that travel side by side. After two reads in a row, the next one
    of the same size is asked for before it is wanted.
    """

    def __init__(self, read_range: ReadRange, size: int) -> None:
        self._read_range = read_range
        self._size = size
        self._place = 0
        self._threads: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, int, list[Future[bytes]]] | None = None
        self._last_stop = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}
        self._place = max(0, origins[whence] + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        start = self._place
        stop = self._size if size is None or size < 0 else min(start + size, self._size)
        if stop <= start:
            return b""
        content = self._found_ahead(start, stop)
        if content is None:
            parts = self._asked(start, stop)
            content = b"".join(part.result() for part in parts)
        if self._last_stop == start:
            self._ask_ahead(stop, stop - start)
        self._place = self._last_stop = stop
        return content

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self.read(-1)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _found_ahead(self, start: int, stop: int) -> bytes | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[:2] != (start, stop):
            return None
        return b"".join(part.result() for part in ahead[2])

    def _ask_ahead(self, start: int, size: int) -> None:
        stop = min(start + size, self._size)
        if start < stop:
            self._ahead = (start, stop, self._asked(start, stop))

    def _asked(self, start: int, stop: int) -> list[Future[bytes]]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(PARALLEL, "ranges")
        return [
            self._threads.submit(self._read_range, begin, min(begin + RANGE_BYTES, stop))
            for begin in range(start, stop, RANGE_BYTES)
        ]
