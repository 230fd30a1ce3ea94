"""How many bytes of request bodies one engine holds, over all its connections."""

from augurium.core.errors import Overloaded

# not counted, and so never refused: without them nothing is answered
SMALL_BODY_BYTES = 64 * 1024


class BodyBudget:
    """Counts large bodies from their first byte until their answer is sent.

    A single one is always taken, so that a limit below the largest body refuses nobody for ever.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    def take(self, size: int) -> bool:
        """Whether there is room for `size` bytes more, which then count."""
        held = self.held_bytes + size
        if held > self._limit_bytes and self.held_bytes:
            return False
        self.held_bytes = held
        return True

    def give_back(self, size: int) -> None:
        """Bytes that were taken are no longer held."""
        self.held_bytes -= size

    def full(self) -> Overloaded:
        """What a caller is told whose body has no room."""
        return Overloaded(
            f"the requests this engine works on hold {self.held_bytes} bytes already, of"
            f" {self._limit_bytes} at most; try again later"
        )


class BodyShare:
    """What one connection, or one stream of it, holds of a budget."""

    __slots__ = ("_budget", "held_bytes")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.held_bytes = 0

    def take(self, size: int) -> bool:
        """Whether there is room for `size` bytes more, which then count."""
        if not self._budget.take(size):
            return False
        self.held_bytes += size
        return True

    def hold(self, size: int) -> bool:
        """Makes it `size` bytes altogether, nothing if that is small; False without the room."""
        if size <= SMALL_BODY_BYTES:
            self.give_back(self.held_bytes)
            return True
        if size < self.held_bytes:
            self.give_back(self.held_bytes - size)
            return True
        return self.take(size - self.held_bytes)

    def give_back(self, size: int) -> None:
        """As much of it, or all there is."""
        size = min(size, self.held_bytes)
        if size:
            self.held_bytes -= size
            self._budget.give_back(size)
