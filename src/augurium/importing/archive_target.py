"""The folder an archive is unpacked into, and everything that is refused on the way in."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import msgspec

from augurium.core.errors import TooLarge, Unprocessable

MAX_DEPTH = 32
MAX_PART_BYTES = 255
SHOWN_CHARACTERS = 100
# little input may well become this much, so the ratio says nothing below
RATIO_COUNTS_FROM_BYTES = 16 * 1024**2


class ArchiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive may hold. `ratio` is bytes unpacked per byte of archive."""

    members: int = 10_000
    bytes: int = 32 * 1024**3
    name_bytes: int = 1024
    ratio: int = 100


class ArchiveTarget:
    """Takes the members of one archive, in any order, and writes them into `folder`."""

    def __init__(self, folder: Path, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._folder = folder
        self._members = 0
        self._bytes = 0
        # how a name was spelled first, by what file systems without case take for the same
        self._spelled: dict[str, str] = {}
        self._files: set[str] = set()
        self._listed: set[str] = set()

    def check_count(self, members: int) -> None:
        """Raises TooLarge when so many members are announced."""
        if members > self.limits.members:
            raise TooLarge(
                f"the archive has {members} members; at most {self.limits.members} are allowed"
            )

    def add_folder(self, name: str) -> None:
        """Makes a folder. Raises Unprocessable for a bad name, TooLarge for one too many."""
        parts = self._parts(name)
        if parts:
            self._claim(parts, file=False)
            self._folder.joinpath(*parts).mkdir(mode=0o700, parents=True, exist_ok=True)

    def add_file(self, name: str, content: Iterable[bytes], consumed: int | None = None) -> None:
        """Writes a file as it streams in; `consumed` are the bytes of archive that all files so far
        came from, if that is known.

        Raises Unprocessable for a bad name, TooLarge for too many bytes or members.
        """
        parts = self._parts(name)
        if not parts:
            raise Unprocessable("the archive holds a file without a name")
        self._claim(parts, file=True)
        path = self._folder.joinpath(*parts)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as stream:
            path.chmod(0o600)
            for chunk in content:
                self._count_bytes(len(chunk))
                if consumed is not None:
                    self.check_ratio(self._bytes, consumed)
                stream.write(chunk)

    def check_ratio(self, unpacked: int, consumed: int) -> None:
        """Raises TooLarge when so many bytes came of so few."""
        if unpacked > max(RATIO_COUNTS_FROM_BYTES, self.limits.ratio * consumed):
            raise TooLarge(
                f"the archive unpacks to more than {self.limits.ratio} times its size; "
                "compress it less or upload the files as a plain tar"
            )

    def _count_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self.limits.bytes:
            raise TooLarge(
                f"the archive unpacks to more than {self.limits.bytes} bytes, which is the limit"
            )

    def _parts(self, name: str) -> tuple[str, ...]:
        """The folders and the last part of a safe name; nothing for the archive's own root."""
        self._members += 1
        self.check_count(self._members)
        problem = _problem(name, self.limits.name_bytes)
        if problem:
            raise Unprocessable(
                f"the archive's member {name[:SHOWN_CHARACTERS]!r} {problem}; expected a plain "
                "relative name"
            )
        plain = name.removeprefix("./").removesuffix("/")
        return () if plain in ("", ".") else tuple(plain.split("/"))

    def _claim(self, parts: tuple[str, ...], file: bool) -> None:
        """Raises Unprocessable when a name, or one like it, is taken already."""
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            first = self._spelled.setdefault(_folded(path), path)
            below_file = path in self._files and (depth < len(parts) or not file)
            if first != path or below_file:
                raise self._taken(path, first)
        path = "/".join(parts)
        if path in self._listed or (file and self._folder.joinpath(*parts).exists()):
            raise self._taken(path, path)
        self._listed.add(path)
        if file:
            self._files.add(path)

    def _taken(self, path: str, first: str) -> Unprocessable:
        return Unprocessable(
            f"the archive holds {path[:SHOWN_CHARACTERS]!r} and {first[:SHOWN_CHARACTERS]!r}, which"
            " are the same name; expected each once"
        )


def _problem(name: str, longest_bytes: int) -> str:
    if len(name.encode("utf-8", "surrogatepass")) > longest_bytes:
        return f"has a name of more than {longest_bytes} bytes"
    if not name or name.startswith("/"):
        return "has an absolute or empty name"
    if not name.isprintable() or any("\ud800" <= letter <= "\udfff" for letter in name):
        return "has a name with characters that cannot be shown"
    if set(name) & set("\\:"):
        return "has a backslash or a colon in its name"
    parts = name.removeprefix("./").removesuffix("/").split("/")
    if parts in ([""], ["."]):
        return ""
    if len(parts) > MAX_DEPTH:
        return f"lies more than {MAX_DEPTH} folders deep"
    if any(part in ("", ".", "..") for part in parts):
        return "leads elsewhere"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"has a part of more than {MAX_PART_BYTES} bytes in its name"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return "has a blank or a dot at the edge of its name"
    return ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())
