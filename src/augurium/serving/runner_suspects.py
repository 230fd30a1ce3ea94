"""Versions that may have ended a runner they shared: they get one of their own.

A note in the folder of the runners, so that all engines of a node agree. It is forgotten when the
node starts.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

FILE = "suspects.json"
LOCK = "suspects.lock"
# within which a version may have been inside once when its runner ended
WINDOW_S = 300.0
# several engines may report one end
SAME_END_S = 1.0

log = structlog.get_logger()


class Suspicion(msgspec.Struct, frozen=True):
    """When a version was last running while its runner ended (epoch seconds), and whether that is
    enough.
    """

    last_at: float
    proven: bool = False


_decoder = msgspec.json.Decoder(dict[str, Suspicion])


class Suspects:
    """The suspects of one node, as every engine sees them. Any thread."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    def is_proven(self, key: str) -> bool:
        """Whether a version must not share a runner any more."""
        return key in self.proven()

    def proven(self) -> frozenset[str]:
        """The keys of all versions that must not."""
        return frozenset(key for key, found in self._read().items() if found.proven)

    def was_running(self, key: str) -> None:
        """A runner ended with runs of this version inside. The second time is proof enough, though
        it may be another's fault.
        """
        with self._locked():
            now = self._now()
            suspects = self._read()
            before = suspects.get(key)
            since_s = now - before.last_at if before is not None else float("inf")
            if (before is not None and before.proven) or since_s < SAME_END_S:
                return
            self._note(suspects, key, Suspicion(now, since_s < WINDOW_S))

    def was_loading(self, key: str) -> None:
        """A runner ended while it loaded this version, and no other."""
        with self._locked():
            self._note(self._read(), key, Suspicion(self._now(), True))

    def _note(self, suspects: dict[str, Suspicion], key: str, suspicion: Suspicion) -> None:
        if suspicion.proven:
            log.warning("version gets a runner of its own: it may have ended others", version=key)
        suspects[key] = suspicion
        # a full disk must not keep anything from serving; nor need this survive a power loss
        with suppress(OSError):
            written = self._folder / f"{FILE}.new"
            written.write_bytes(msgspec.json.encode(suspects))
            written.replace(self._folder / FILE)

    def _read(self) -> dict[str, Suspicion]:
        try:
            return _decoder.decode((self._folder / FILE).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def forget_suspects(folder: Path) -> None:
    """A node that starts gives every version another chance."""
    (folder / FILE).unlink(missing_ok=True)
