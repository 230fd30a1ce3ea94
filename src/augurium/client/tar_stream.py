"""A folder as one uncompressed tar stream: the same files always give the same bytes."""

import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from augurium.client.content import Content, FileContent
from augurium.core.errors import InvalidArgument

MAX_MEMBERS = 10_000
MAX_NAME_BYTES = 1024
MODE = 0o644
# what the server unpacks: printable, no backslash, no colon, no blank or dot at the edge of a part
_PART = re.compile(r"(?![ ])[^/\\:]{0,254}[^/\\:. ]")


class TarContent:
    """Members by their names, sorted, with dates, owners and modes left out.

    Raises InvalidArgument for names that a server would not unpack, for none at all and for more
    than 10 000.
    """

    def __init__(self, name: str, members: dict[str, Content]) -> None:
        self.name = f"{name}.tar"
        self._members = sorted(members.items())
        if not 0 < len(members) <= MAX_MEMBERS:
            raise InvalidArgument(
                f"{name} holds {len(members)} files; expected 1 to {MAX_MEMBERS} of them"
            )
        _check_names(members)
        self.size_bytes: int | None = _total(self._members)

    def chunks(self) -> Iterator[bytes]:
        for name, content in self._members:
            yield _header(name, content)
            yield from content.chunks()
            yield bytes(-(content.size_bytes or 0) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


def folder_content(folder: Path) -> TarContent:
    """All files under a folder.

    Raises InvalidArgument as `TarContent`, and for links, sockets, devices and pipes.
    """
    members: dict[str, Content] = {}
    for path in sorted(folder.rglob("*")):
        shown = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InvalidArgument(
                f"{path} is a link; a folder may hold files and folders only, so copy what it "
                "points at"
            )
        if path.is_dir():
            continue
        if not path.is_file():
            raise InvalidArgument(f"{path} is no regular file; remove it from the folder")
        members[shown] = FileContent(path)
    return TarContent(folder.absolute().name, members)


def _check_names(names: Iterable[str]) -> None:
    spelled: dict[str, str] = {}
    for name in names:
        fits = len(name.encode("utf-8", "surrogateescape")) <= MAX_NAME_BYTES
        if not (fits and name.isprintable() and all(map(_PART.fullmatch, name.split("/")))):
            raise InvalidArgument(
                f"a file cannot be called {name[:100]!r} in an upload; expected printable names "
                "without backslash, colon, or a blank or dot at the end, of at most "
                f"{MAX_NAME_BYTES} bytes"
            )
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidArgument(f"{name!r} and {other!r} differ by case only; rename one of them")


def _header(name: str, content: Content) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = content.size_bytes or 0, MODE
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _total(members: Sequence[tuple[str, Content]]) -> int:
    total = 2 * tarfile.BLOCKSIZE
    for name, content in members:
        size = content.size_bytes or 0
        total += len(_header(name, content)) + size + -size % tarfile.BLOCKSIZE
    return total
