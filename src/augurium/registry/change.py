"""One change of the registry's database: a writing transaction that notes what it did.

Whoever keeps something else in the same database changes it through here too, so that it stands in
the same audit log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from augurium.core.clock import Clock
from augurium.registry.chain import chained
from augurium.registry.database import writing
from augurium.registry.draft_limits import check_actor
from augurium.registry.records import AuditEntry
from augurium.registry.rows import insert_audit, lock_registry, read_last_audit, set_revision


class Change:
    """A transaction that has the registry for itself; `at` is its time."""

    def __init__(self, connection: Connection, actor: str, clock: Clock) -> None:
        self.connection = connection
        self.actor = actor
        self._revision = lock_registry(connection)
        last_at, self._hash = read_last_audit(connection)
        # taken under the lock, and never before the last entry, whose clock may have been ahead:
        # times follow the order of the revisions
        now = clock.now()
        self.at: datetime = now if last_at is None else max(now, last_at)

    def record(
        self, action: str, model: str = "", version: int | None = None, **details: Any
    ) -> None:
        """Adds an entry to the audit log, committed with the change itself."""
        self._revision += 1
        entry = AuditEntry(
            revision=self._revision,
            at=self.at,
            actor=self.actor,
            action=action,
            model=model,
            version=version,
            details=details,
        )
        entry = chained(self._hash, entry)
        self._hash = entry.hash
        insert_audit(self.connection, entry)
        set_revision(self.connection, self._revision)


@contextmanager
def changing(engine: Engine, clock: Clock, actor: str) -> Iterator[Change]:
    """A change by `actor`, whole or not at all. Raises as `writing`, and for a bad actor."""
    check_actor(actor)
    with writing(engine) as connection:
        yield Change(connection, actor, clock)
