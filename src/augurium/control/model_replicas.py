"""The replicas of one model as something that can be scaled, within the memory of the node."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from augurium.control.link_hub import LinkHub
from augurium.core.process_memory import process_bytes

MEMORY = Path("/proc/meminfo")
MIB = 1024**2


class Room(NamedTuple):
    """How many bytes are free for more replicas, and what says so; None where nobody knows."""

    free_bytes: int | None
    of: str


def node_room(hub: LinkHub) -> Room:
    """What is free of the budget for models, or of the machine where there is no budget."""
    counters = [link.counters for link in hub.links()]
    budget = sum(one.budget_bytes for one in counters)
    if not budget:
        return Room(_available_bytes(), "the memory of this machine")
    used = sum(version.resident_bytes for one in counters for version in one.versions)
    return Room(max(0, budget - used), "residency.memory_bytes")


class ModelReplicas:
    """Has the number of one model, and tells it to `tell`. See `scaling.scalable.Scalable`.

    Of its processes the largest says what another would take.
    """

    def __init__(
        self,
        name: str,
        number: int,
        tell: Callable[[str, int], None],
        room: Callable[[], Room],
        size: Callable[[int], int] = process_bytes,
    ) -> None:
        self.name = name
        self.pids: Sequence[int] = ()
        self._number = number
        self._tell = tell
        self._room = room
        self._size = size

    def current(self) -> int:
        return self._number

    def set(self, number: int) -> str:
        """Tells the engines of it; as many as there is memory for."""
        before, reached, refusal = self._number, number, ""
        if number > before:
            reached, refusal = self._affordable(number)
        if reached == before:
            return f"{before} stay: {refusal}"
        self._number = reached
        self._tell(self.name, reached)
        return "; ".join(filter(None, (_done(before, reached), refusal)))

    def _affordable(self, number: int) -> tuple[int, str]:
        """How many of them memory allows, and why no more."""
        each = max((self._size(pid) for pid in self.pids), default=0)
        room = self._room()
        if not each or room.free_bytes is None:
            return number, ""
        # those that are starting have not taken theirs yet
        coming = max(0, self._number - len(self.pids))
        more = max(0, room.free_bytes // each - coming)
        if self._number + more >= number:
            return number, ""
        refusal = (
            f"another takes about {each // MIB} MiB, and {room.free_bytes // MIB} MiB of"
            f" {room.of} are free"
        )
        return self._number + more, refusal


def _done(before: int, reached: int) -> str:
    if reached == 0:
        return "its runners go until somebody asks"
    if before == 0:
        return "its runner starts" if reached == 1 else f"{reached} runners start"
    first, last = min(before, reached) + 1, max(before, reached)
    who = f"replica {first}" if first == last else f"replicas {first} to {last}"
    one = first == last
    if reached > before:
        return f"{who} {'starts' if one else 'start'}"
    return f"{who} {'finishes and goes' if one else 'finish and go'}"


def _available_bytes() -> int | None:
    try:
        lines = MEMORY.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
