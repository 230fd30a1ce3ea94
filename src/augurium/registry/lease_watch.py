"""Leases without a wall clock: a holder is gone when its heart has not beaten for a while."""

from collections.abc import Iterable

from augurium.core.clock import Clock

# a job, and the token and the beat of its holder
Lease = tuple[str, int, int]


class LeaseWatch:
    """What one claimer has seen of leases, by its own monotonic clock; for one thread.

    No two machines need to agree on the time. A claimer that has just started waits a whole lease
    before it takes a job from anybody.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first_seen_s: dict[Lease, float] = {}

    def lapsed(self, leases: Iterable[Lease], lease_s: float) -> list[Lease]:
        """Of all leases there are, those that have stood still for `lease_s` since they were first
        seen so.
        """
        now = self._clock.monotonic()
        self._first_seen_s = {lease: self._first_seen_s.get(lease, now) for lease in leases}
        return [lease for lease, since in self._first_seen_s.items() if now - since >= lease_s]
