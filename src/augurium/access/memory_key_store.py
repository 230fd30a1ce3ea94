"""The key store in memory: for tests, simulations and throw-away servers."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from augurium.access.key_text import KeyText, new_key_text
from augurium.access.keys import (
    IssuedKey,
    Key,
    KeyDraft,
    LiveKey,
    check_not_taken,
    described,
    live_key,
    new_key,
    successor,
    to_revoke,
    to_rotate,
)
from augurium.access.principal import Principal
from augurium.core.clock import Clock

Note = Callable[[str, str, dict[str, Any]], None]


class MemoryKeyStore:
    """Keeps everything until the process ends.

    `note` takes what belongs into the audit log: who, what, and the details.
    """

    def __init__(self, clock: Clock, note: Note) -> None:
        self._clock = clock
        self._note = note
        self._lock = threading.RLock()
        self._keys: dict[str, Key] = {}
        self._digests: dict[str, bytes] = {}

    def create(self, draft: KeyDraft, grantor: Principal) -> IssuedKey:
        text, now = new_key_text("live"), self._clock.now()
        with self._lock:
            check_not_taken(draft.name, self._named(draft.name), now)
            key = new_key(text.id, draft, grantor, now)
            self._note(grantor.name, "create_key", described(key))
            return self._kept(key, text)

    def rotate(self, name: str, grantor: Principal) -> IssuedKey:
        text, now = new_key_text("live"), self._clock.now()
        with self._lock:
            old = to_rotate(name, self._named(name), grantor, now)
            key = successor(text.id, old, grantor, now)
            self._note(grantor.name, "rotate_key", described(key) | {"previous": old.id})
            return self._kept(key, text)

    def revoke(self, which: str, grantor: Principal) -> Sequence[Key]:
        now = self._clock.now()
        with self._lock:
            found = to_revoke(which, self.all(), grantor)
            ended = [msgspec.structs.replace(key, revoked_at=now) for key in found]
            details = {"key": ended[0].name, "ids": [key.id for key in ended]}
            self._note(grantor.name, "revoke_key", details)
            self._keys |= {key.id: key for key in ended}
            return ended

    def all(self) -> Sequence[Key]:
        with self._lock:
            known = list(self._keys.values())
        return sorted(known, key=lambda key: (key.name, key.created_at, key.id))

    def live(self) -> Sequence[LiveKey]:
        now = self._clock.now()
        with self._lock:
            found = [live_key(key, self._digests[key.id]) for key in self.all() if key.live(now)]
        return sorted(found, key=lambda key: key.id)

    def note_use(self, times: Mapping[str, datetime]) -> None:
        with self._lock:
            for key_id, at in times.items():
                if key_id in self._keys:
                    used = msgspec.structs.replace(self._keys[key_id], last_used_at=at)
                    self._keys[key_id] = used

    def _named(self, name: str) -> list[Key]:
        return [key for key in self.all() if key.name == name]

    def _kept(self, key: Key, text: KeyText) -> IssuedKey:
        self._keys[key.id] = key
        self._digests[key.id] = text.digest
        return IssuedKey(text.text, key)
