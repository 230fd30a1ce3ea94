"""When a queue stands: requests have waited longer than a target for longer than an interval.

A burst fills a queue and leaves it; a queue that stands helps nobody, because every request waits
in it and no more are answered than without it.

Sources: K. Nichols, V. Jacobson, "Controlled Delay Active Queue Management", RFC 8289, sections 3
and 4 (target, interval, time above the target); B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015
(the same for requests, refused instead of dropped).
"""


class QueueDelay:
    """Watches how long what leaves a queue has waited. Times are in seconds; `target_s` of 0
    switches it off.
    """

    def __init__(self, target_s: float, interval_s: float) -> None:
        self.target_s = target_s
        self.interval_s = interval_s
        self.overloaded = False
        self._above_since: float | None = None
        self._refused_at = float("-inf")

    @property
    def watching(self) -> bool:
        """Whether the last delay was above the target, so that the next one has to be told."""
        return self._above_since is not None

    def set(self, target_s: float, interval_s: float) -> None:
        """Takes another target and interval; what stands now is judged by them."""
        self.target_s, self.interval_s = target_s, interval_s
        if not target_s:
            self.overloaded = False
            self._above_since = None

    def refused(self, now: float) -> None:
        """Somebody was not let into the queue."""
        self._refused_at = now

    def left(self, delay_s: float, now: float) -> bool:
        """The oldest in the queue had waited `delay_s`; whether this is when overload begins.

        It ends when a delay is below the target and nobody was refused for an interval: as long as
        somebody is, it is the refusals that keep the queue short.
        """
        if not self.target_s:
            return False
        if delay_s < self.target_s:
            if not self.overloaded or now - self._refused_at >= self.interval_s:
                self.overloaded = False
                self._above_since = None
        elif self._above_since is None:
            self._above_since = now
        elif not self.overloaded and now - self._above_since >= self.interval_s:
            self.overloaded = True
            return True
        return False
