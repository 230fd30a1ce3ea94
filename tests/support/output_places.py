"""Places that jobs write to, for tests: one in memory, and one that dies in the middle."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from augurium.batch.storage_port import FileSink, OutputPlace, StoredOutput
from augurium.core.errors import NotFound

T = TypeVar("T")


class MemoryPlace:
    """Files as bytes by their names. With `copies`, a rename keeps the first name, as it does in an
    object store that is asked to forget it later.
    """

    url = "memory://output"

    def __init__(self, copies: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self._copies = copies

    def create(self, name: str) -> FileSink:
        return _MemorySink(self.files, name)

    def check_writable(self, name: str) -> None:
        self.put(name, b"")
        self.delete([name])

    def put(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise NotFound(f"{self.url} has no file '{name}'")
        return self.files[name]

    def size(self, name: str) -> int | None:
        return len(self.files[name]) if name in self.files else None

    def list(self, prefix: str = "") -> Iterator[StoredOutput]:
        for name, content in list(self.files.items()):
            if name.startswith(prefix):
                yield StoredOutput(name, len(content))

    def rename(self, names: Iterable[tuple[str, str]]) -> None:
        for first, second in names:
            if first not in self.files:
                raise NotFound(f"{self.url} has no file '{first}'")
            self.files[second] = self.files[first] if self._copies else self.files.pop(first)

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.files.pop(name, None)


class _MemorySink:
    def __init__(self, files: dict[str, bytes], name: str) -> None:
        self._files = files
        self._name = name
        self._content = bytearray()

    def write(self, data: bytes, /) -> int:
        self._content += data
        return len(data)

    def close(self) -> None:
        self._files[self._name] = bytes(self._content)

    def abort(self) -> None:
        self._content.clear()


class FragilePlace:
    """Another place; before every change of a file it calls `step`, which may end all."""

    def __init__(self, place: OutputPlace, step: Callable[[], None]) -> None:
        self.url = place.url
        self._place = place
        self._step = step

    def create(self, name: str) -> FileSink:
        self._step()
        return self._place.create(name)

    def check_writable(self, name: str) -> None:
        self._step()
        self._place.check_writable(name)

    def put(self, name: str, content: bytes) -> None:
        self._step()
        self._place.put(name, content)

    def read(self, name: str) -> bytes:
        return self._place.read(name)

    def size(self, name: str) -> int | None:
        return self._place.size(name)

    def list(self, prefix: str = "") -> Iterator[StoredOutput]:
        return self._place.list(prefix)

    def rename(self, names: Iterable[tuple[str, str]]) -> None:
        self._each(self._place.rename, names)

    def delete(self, names: Iterable[str]) -> None:
        self._each(self._place.delete, names)

    def _each(self, act: Callable[[Iterable[T]], None], names: Iterable[T]) -> None:
        for name in names:
            self._step()
            act([name])


class Killed(BaseException):
    """What stands for the end of a process; nothing catches it."""


def killed_before(step: int) -> Callable[[], None]:
    """A `step` that does not survive the change of that number, from 0."""
    left = step

    def count() -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    return count
