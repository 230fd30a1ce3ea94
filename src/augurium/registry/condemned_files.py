"""Files on their way out of the artifact store, which nothing may be registered with meanwhile.

An object store may take its time to remove a file, longer than a transaction may last, and a
database may fail in between. So no lock is held: the files are condemned in one transaction,
removed, and released in another. A collection that dies in between releases none; what it condemned
counts for `LONGEST` by the database's own clock, and whatever is removed is removed well before.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select

from augurium.registry.change import Change
from augurium.registry.rows import read_digests
from augurium.registry.rules import artifact_condemned
from augurium.registry.tables import UtcTime, condemned

LONGEST = timedelta(minutes=15)
# no removal begins later than that; one call of an object store ends within two minutes
BEGUN_WITHIN_S = 300.0


def check_not_condemned(change: Change, digests: Collection[str]) -> None:
    """Raises Conflict for a file that is being removed."""
    counts = condemned.c.at > _now(change.connection) - LONGEST
    query = select(condemned.c.digest).where(condemned.c.digest.in_(digests), counts)
    found = change.connection.execute(query.order_by(condemned.c.digest)).scalars().first()
    if found is not None:
        raise artifact_condemned(found)


def condemn(change: Change, digests: Collection[str]) -> "Removal":
    """Condemns those of the files that no version stands on and nobody else is removing."""
    connection, now = change.connection, _now(change.connection)
    connection.execute(delete(condemned).where(condemned.c.at <= now - LONGEST))
    query = select(condemned.c.digest).where(condemned.c.digest.in_(digests))
    others = set(connection.execute(query).scalars())
    found = sorted(set(digests) - read_digests(connection, digests) - others)
    if found:
        rows = [{"digest": digest, "at": now} for digest in found]
        connection.execute(insert(condemned), rows)
        change.record("discard", digests=found)
    return Removal(found, now)


class Removal:
    """The removal of condemned files, one after the other.

    `removed` are gone. `settled` are those of which nothing is under way any more: a call that
    failed may still be carried out by the store.
    """

    def __init__(self, digests: Sequence[str], condemned_at: datetime) -> None:
        self._digests = digests
        self._condemned_at = condemned_at
        self.removed: list[str] = []
        self.settled = set(digests)

    def run(self, remove: Callable[[str], None]) -> None:
        """Removes the files; those there is no time for stay. Raises what `remove` raises."""
        began = time.monotonic()
        for digest in self._digests:
            if time.monotonic() - began > BEGUN_WITHIN_S:
                return
            self.settled.discard(digest)
            remove(digest)
            self.settled.add(digest)
            self.removed.append(digest)

    def release(self, connection: Connection) -> None:
        """Lets the settled files be registered with again."""
        # of a collection that slept for too long, another one may have condemned them since
        own = condemned.c.at == self._condemned_at
        connection.execute(delete(condemned).where(own, condemned.c.digest.in_(self.settled)))


def _now(connection: Connection) -> datetime:
    # of nodes whose clocks differ, none may take another's removal for over
    found: datetime = connection.execute(select(func.current_timestamp(type_=UtcTime))).scalar_one()
    return found
