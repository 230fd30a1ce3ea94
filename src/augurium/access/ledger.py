"""The ledger: what the processes of a node share about credentials, in a memory-mapped file.

Every credential has a slot: when its next request is due (for its rate) and when it was last used.
Slots are 8-byte words that a processor writes at once; nobody locks. Two processes that count a
request of one credential in the same microsecond may count one instead of two.
"""

import hashlib
import mmap
import os
import struct
from pathlib import Path

SLOTS = 65_536
WORDS_PER_SLOT = 4
HEADER_WORDS = 512
PROBES = 16
_BYTES = 8 * (HEADER_WORDS + SLOTS * WORDS_PER_SLOT)
_WANTED = 0
_TAG, _DUE, _USED = range(3)


class Ledger:
    """The file, mapped. Times are seconds: `due` of the machine's monotonic clock, `used` of the
    wall clock.
    """

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _BYTES)
            self._map = mmap.mmap(descriptor, _BYTES)
        finally:
            os.close(descriptor)
        self._tags = memoryview(self._map).cast("Q")
        self._times = memoryview(self._map).cast("d")
        self._places: dict[str, int] = {}

    def close(self) -> None:
        """Lets go of the file."""
        self._tags.release()
        self._times.release()
        self._map.close()

    def due(self, identity: str) -> float:
        """When the credential's next request is due; 0 if it never sent one."""
        return self._times[self._place(identity) + _DUE]

    def set_due(self, identity: str, moment: float) -> None:
        self._times[self._place(identity) + _DUE] = moment

    def used(self, identity: str) -> float:
        """When the credential was last used; 0 if it never was."""
        return self._times[self._place(identity) + _USED]

    def set_used(self, identity: str, moment: float) -> None:
        self._times[self._place(identity) + _USED] = moment

    @property
    def signer_wanted_at(self) -> float:
        """When a token last came whose signer is not known; 0 if none did."""
        return self._times[_WANTED]

    def want_signer(self, moment: float) -> None:
        """Asks control to look for the issuer's new keys."""
        self._times[_WANTED] = moment

    def _place(self, identity: str) -> int:
        place = self._places.get(identity)
        # another process may have taken the slot over
        if place is None or self._tags[place] != _tag_of(identity):
            if len(self._places) >= SLOTS:
                self._places.clear()
            place = self._places[identity] = self._find(_tag_of(identity))
        return place

    def _find(self, tag: int) -> int:
        """The slot of a credential: its own, else a free one, else the longest unused of a few."""
        places = [HEADER_WORDS + (tag + probe) % SLOTS * WORDS_PER_SLOT for probe in range(PROBES)]
        for place in places:
            if self._tags[place] == tag:
                return place
        for place in places:
            if not self._tags[place]:
                self._tags[place] = tag
                return place
        oldest = min(places, key=lambda place: self._times[place + _USED])
        self._tags[oldest] = tag
        self._times[oldest + _DUE] = self._times[oldest + _USED] = 0.0
        return oldest


def _tag_of(identity: str) -> int:
    found = _tags.get(identity)
    if found is None:
        if len(_tags) >= SLOTS:
            _tags.clear()
        digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
        found = _tags[identity] = struct.unpack("<Q", digest)[0] or 1
    return found


_tags: dict[str, int] = {}
