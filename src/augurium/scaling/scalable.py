"""The port to whatever has a number of replicas that can be changed, and one in memory."""

from typing import Protocol


class Scalable(Protocol):
    """A group of replicas: the engines of a node, the copies of a model's runner, nodes of a pool.

    It owns the replicas and keeps them running; a replica that dies is its business.
    """

    @property
    def name(self) -> str:
        """What decisions about it are called by; stable."""
        ...

    def current(self) -> int:
        """How many replicas it holds that are not on their way out; those that start count."""
        ...

    def set(self, number: int) -> str:
        """Begins to bring it to `number`, without waiting: replicas join when they can serve, and
        those that leave first finish what they accepted. `number` is within the policy's bounds.

        Says what it began, in words; fewer than asked is no error, for it is asked again.
        """
        ...


class MemoryScalable:
    """Replicas that are a number; `largest` is the most it can hold."""

    def __init__(self, name: str, number: int = 1, largest: int = 1000) -> None:
        self.name = name
        self.history = [number]
        self._largest = largest

    def current(self) -> int:
        return self.history[-1]

    def set(self, number: int) -> str:
        reached = min(number, self._largest)
        if reached != self.current():
            self.history.append(reached)
        return (
            f"{reached} now" if reached == number else f"{reached} now: there is no room for more"
        )
