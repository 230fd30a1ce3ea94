"""Rates: how many requests a credential may send.

The generic cell rate algorithm (ITU-T I.371): one number per credential says when its next request
would be due if requests came evenly; a request may be early by no more than the burst allows.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from augurium.access.principal import Principal
from augurium.core.errors import RateLimited


class Quota(NamedTuple):
    """What is left to a credential: requests at once, and seconds until all of `limit` are back."""

    limit: int
    remaining: int
    reset_s: float


class Arrivals(Protocol):
    """Where the due times are kept."""

    def due(self, identity: str) -> float: ...

    def set_due(self, identity: str, moment: float) -> None: ...


class Rates:
    """Counts requests of credentials that have a rate."""

    def __init__(self, arrivals: Arrivals, clock: Callable[[], float] = time.monotonic) -> None:
        self._arrivals = arrivals
        self._clock = clock

    def spend(self, caller: Principal) -> Quota:
        """Counts one request. Raises RateLimited when the caller has none left."""
        now = self._clock()
        interval_s = 1.0 / caller.rate
        burst = caller.burst or max(1, math.ceil(caller.rate))
        due = self._arrivals.due(caller.identity)
        # a time further ahead than can be was left by another rate or by another boot
        due = now if due < now or due > now + (burst + 1) * interval_s else due
        wait_s = due - now - (burst - 1) * interval_s
        # a nanosecond: sums of intervals are not exact
        if wait_s > 1e-9:
            raise RateLimited(
                f"this credential may send {caller.rate:g} requests per second, {burst} at once;"
                f" try again in {wait_s:.3g} s",
                wait_s,
            )
        self._arrivals.set_due(caller.identity, due + interval_s)
        reset_s = due + interval_s - now
        return Quota(burst, max(0, int(burst - reset_s / interval_s + 1e-6)), reset_s)
