"""The hash chain of the audit log: an entry that was changed, removed or put in is found out.

The hash of an entry is SHA-256 over a JSON array of the hash before it (empty for the first) and
the entry's own fields, keys sorted, without spaces, ASCII only. This form can never change.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC

import msgspec

from augurium.registry.records import AuditEntry

MAX_FAULTS = 20


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the chain was found: `head` is the hash of the last entry, worth keeping elsewhere.

    `faults` names the first entries that do not fit; an intact chain has none.
    """

    entries: int
    head: str
    faults: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        return not self.faults


def chained(previous: str, entry: AuditEntry) -> AuditEntry:
    """The entry with its hash, following one whose hash is `previous`."""
    return msgspec.structs.replace(entry, hash=entry_hash(previous, entry))


def entry_hash(previous: str, entry: AuditEntry) -> str:
    """What the hash of an entry must be."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [
        previous,
        *(entry.revision, at, entry.actor, entry.action, entry.model, entry.version),
        entry.details,
    ]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_chain(entries: Iterable[AuditEntry], revision: int) -> AuditCheck:
    """Walks the whole log, oldest entry first; `revision` is the number the last must have."""
    faults: list[str] = []
    expected, head = 0, ""
    for entry in entries:
        expected += 1
        if entry.revision != expected:
            faults.append(_missing(expected, entry.revision))
            expected = entry.revision
        if entry.hash != entry_hash(head, entry):
            faults.append(f"entry {entry.revision} or the one before it was altered")
        head = entry.hash
    if expected != revision:
        faults.append(_missing(expected + 1, revision + 1))
    return AuditCheck(entries=expected, head=head, faults=tuple(faults[:MAX_FAULTS]))


def _missing(first: int, after: int) -> str:
    if first >= after:
        return f"entry {after} stands where {first} was expected"
    return f"entry {first} is missing" if after - first == 1 else f"{first} to {after - 1} missing"
