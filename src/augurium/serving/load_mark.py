"""A note on disk of the version that is being loaded. Whoever starts and finds one knows what ended
the process before it: a model file can crash what loads it, or take more memory than there is.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from augurium.core.errors import ModelFailed

# once may have been somebody's kill, or another's hunger for memory
ALLOWED_DEATHS = 1
FIRST_REST_S = 60.0
LONGEST_REST_S = 3600.0

log = structlog.get_logger()


class Deaths(msgspec.Struct):
    """How often a version ended the process that loaded it, and when last (epoch seconds)."""

    count: int = 0
    last_at: float = 0.0


class LoadNote(msgspec.Struct):
    """What the file says. Versions are told apart by content too: another file may be sound."""

    loading: str = ""
    deaths: dict[str, Deaths] = {}


def ended_again(file: Path, version: str, digest: str) -> bool:
    """Whether the note of an engine that is gone says that it was loading this version, and had
    ended while it did as often as is allowed before.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=LoadNote)
    except (OSError, msgspec.MsgspecError):
        return False
    key = _key(version, digest)
    return found.loading == key and found.deaths.get(key, Deaths()).count >= ALLOWED_DEATHS


class LoadMark:
    """Keeps one engine from ending again and again for the same version.

    What ended the process while it loaded, and did so again, is refused for a minute, then two, up
    to an hour. A load that succeeds, or fails without an end, clears it. One thread at a time.
    """

    def __init__(self, file: Path, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        self._longest = 0
        self._note = self._read()
        if self._note.loading:
            deaths = self._note.deaths.setdefault(self._note.loading, Deaths())
            deaths.count += 1
            deaths.last_at = now()
            log.error(
                "the engine ended while it loaded a version",
                version=self._note.loading.partition(" ")[0],
                times=deaths.count,
            )
            self._write("")

    @contextmanager
    def loading(self, version: str, digest: str) -> Iterator[None]:
        """Around a load. Raises ModelFailed at once for what is refused now."""
        key = _key(version, digest)
        self._refuse(key)
        self._write(key)
        try:
            yield
        finally:
            self._note.deaths.pop(key, None)
            self._write("")

    def _refuse(self, key: str) -> None:
        deaths = self._note.deaths.get(key)
        if deaths is None or deaths.count <= ALLOWED_DEATHS:
            return
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2 ** (deaths.count - ALLOWED_DEATHS - 1))
        remaining_s = deaths.last_at + rest_s - self._now()
        if remaining_s > 0:
            raise ModelFailed(
                f"it ended the engine {deaths.count} times while it was loaded; it is tried again"
                f" in {remaining_s:.0f} s at the earliest"
            )

    def _read(self) -> LoadNote:
        try:
            content = self._file.read_bytes()
            self._longest = len(content)
            return msgspec.json.decode(content, type=LoadNote)
        except (OSError, msgspec.MsgspecError):
            return LoadNote()

    def _write(self, loading: str) -> None:
        """Need not survive a power loss, only the end of this process: written over what is there,
        which costs microseconds where a new file costs milliseconds.
        """
        self._note.loading = loading
        content = msgspec.json.encode(self._note)
        # blanks over the rest of a longer note, so that none is ever there in part
        self._longest = max(self._longest, len(content))
        # a full disk must not keep a version from serving
        with suppress(OSError):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, content.ljust(self._longest), 0)
            finally:
                os.close(descriptor)


def _key(version: str, digest: str) -> str:
    return f"{version} {digest}"
