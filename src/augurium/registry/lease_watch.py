"""Leases without a wall clock: a holder is gone when its heart has not beaten for a while."""

from collections.abc import Collection
from dataclasses import dataclass

from augurium.core.clock import Clock


@dataclass(frozen=True, slots=True)
class _Seen:
    token: int
    beat: int
    since_s: float


class LeaseWatch:
    """What one claimer has seen of leases, by its own monotonic clock; for one thread.

    No two machines need to agree on the time. A claimer that has just started waits a whole lease
    before it takes a job from anybody, and one that was stopped for long takes none for it: a beat
    it did not look at in time is news when it looks again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def lapsed(self, job: str, token: int, beat: int, lease_s: float) -> bool:
        """Whether this lease has stood still for `lease_s` since it was first seen so."""
        now = self._clock.monotonic()
        seen = self._seen.get(job)
        if seen is None or (seen.token, seen.beat) != (token, beat):
            self._seen[job] = _Seen(token, beat, now)
            return False
        return now - seen.since_s >= lease_s

    def forget_others(self, held: Collection[str]) -> None:
        """Keeps what was seen of these jobs alone."""
        self._seen = {job: seen for job, seen in self._seen.items() if job in held}
