"""When a call is tried again: what failed, how often, after which pause, and out of which budget.

Only what is safe is tried again: predictions change nothing on the server, so an attempt may be
repeated when the server said that it is overloaded or not ready, or when it did not answer at all.

Sources: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (full jitter);
Finagle, `RetryBudget` (a token bucket that calls fill and retries empty, with a reserve for clients
that call seldom); RFC 9110, section 10.2.3 (Retry-After).
"""

import random
import threading
import time
from collections.abc import Callable

import msgspec

from augurium.client.deadline import Clock, Deadline
from augurium.core.errors import AuguriumError, InvalidArgument, NotReady, Overloaded

SAFE = (NotReady, Overloaded)


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast a call is tried again.

    `attempts` counts the first one, so 1 means never again. Before the n-th retry passes a random
    time of up to `first_pause_s` times 2 to the n-1, at most `longest_pause_s`, on top of what the
    server asked for. Over time at most `share` of all calls are retries, and `per_s` of a client
    that calls seldom; `reserve` of them may come at once. Raises InvalidArgument for numbers that
    mean nothing.
    """

    attempts: int = 3
    first_pause_s: float = 0.05
    longest_pause_s: float = 2.0
    share: float = 0.1
    per_s: float = 1.0
    reserve: float = 50.0

    def __post_init__(self) -> None:
        sizes = (self.first_pause_s, self.longest_pause_s, self.share, self.per_s, self.reserve)
        if self.attempts < 1 or not all(0 <= size < float("inf") for size in sizes):
            raise InvalidArgument(
                f"{self} cannot be meant: expected attempts of 1 or more, and no negative number"
            )


class RetryBudget:
    """A token bucket: every call puts `share` of a token in, every retry takes one out.

    It begins full, with `reserve` tokens, and holds no more. Safe to share between threads.
    """

    def __init__(self, retries: Retries, clock: Clock = time.monotonic) -> None:
        self._retries = retries
        self._clock = clock
        self._tokens = retries.reserve
        self._filled_at = clock()
        self._lock = threading.Lock()

    def deposit(self) -> None:
        """Counts a call."""
        with self._lock:
            self._fill(self._retries.share)

    def withdraw(self) -> bool:
        """Takes a retry out; False when there is none."""
        with self._lock:
            self._fill(0.0)
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True

    def _fill(self, tokens: float) -> None:
        now = self._clock()
        tokens += (now - self._filled_at) * self._retries.per_s
        self._filled_at = now
        self._tokens = min(self._retries.reserve, self._tokens + tokens)


class Attempts:
    """The attempts of one call; making it counts the call in the budget."""

    def __init__(
        self,
        retries: Retries,
        budget: RetryBudget,
        deadline: Deadline,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._retries = retries
        self._budget = budget
        self._deadline = deadline
        self._chance = chance
        self._made = 0
        budget.deposit()

    def pause_s(self, error: AuguriumError) -> float | None:
        """How long to wait before the next attempt after `error`; None to give up.

        Notes on the error why it is given up, where it could have been tried again.
        """
        self._made += 1
        if not isinstance(error, SAFE) or self._retries.attempts == 1:
            return None
        pause_s = (error.retry_after_s or 0.0) + self._chance() * self._most_s()
        if self._made >= self._retries.attempts:
            reason = f"gave up after {self._made} attempts"
        elif pause_s >= self._deadline.left_s:
            reason = (
                f"the next attempt would begin after the deadline of {self._deadline.total_s:g} s"
            )
        elif not self._budget.withdraw():
            reason = "the client's budget for retries is used up"
        else:
            return pause_s
        error.add_note(reason)
        return None

    def _most_s(self) -> float:
        # the exponent is bounded, because a float overflows at 1024
        grown = self._retries.first_pause_s * 2.0 ** min(self._made - 1, 64)
        return min(grown, self._retries.longest_pause_s)
