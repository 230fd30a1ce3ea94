import pytest

from augurium.core.errors import Overloaded
from augurium.core.priority import Priority
from augurium.serving.fair_share import COUNT_EVERY_S, FairShare


class Version:
    def __init__(self, in_flight: int = 0) -> None:
        self.in_flight = in_flight


class Room:
    """An engine with room for 100 requests."""

    def __init__(self, *in_flight: int) -> None:
        self.versions = [Version(count) for count in in_flight]
        self.now = 0.0
        self.share = FairShare(100, lambda: self.versions, lambda: self.now)

    def admits(self, place: int, priority: Priority = Priority.NORMAL) -> str:
        """What becomes of one more request of a version."""
        version = self.versions[place]
        version.in_flight += 1
        total = sum(one.in_flight for one in self.versions)
        try:
            if total > self.share.free:
                self.share.check(total, version, priority)
        except Overloaded as error:
            version.in_flight -= 1
            return error.reason
        return "admitted"


def test_a_flood_leaves_the_last_quarter_to_the_others() -> None:
    room = Room(0, 0)
    found = [room.admits(0) for _ in range(200)]
    assert found.count("admitted") == 75
    assert found[-1] == "fair_share"
    assert [room.admits(1) for _ in range(25)] == ["admitted"] * 25
    assert room.admits(1) == "engine_full"


def test_the_share_is_the_room_by_those_at_work() -> None:
    room = Room(40, 20, 15, 0)
    assert [room.admits(place) for place in (0, 1, 3)] == ["fair_share", "admitted", "admitted"]


def test_batch_has_half_a_share_and_critical_all_there_is() -> None:
    room = Room(30, 46)
    assert room.admits(0, Priority.BATCH) == "fair_share"
    assert room.admits(0) == "admitted"
    assert [room.admits(1, Priority.CRITICAL) for _ in range(23)] == ["admitted"] * 23
    assert room.admits(1, Priority.CRITICAL) == "engine_full"


def test_who_is_at_work_is_counted_now_and_then() -> None:
    room = Room(40, 36, 0)
    assert room.admits(1) == "admitted"
    room.versions[2].in_flight = 1
    assert room.admits(1) == "admitted"
    room.now += 2 * COUNT_EVERY_S
    assert room.admits(1) == "fair_share"


@pytest.mark.parametrize("room", [1, 2, 15])
def test_a_small_room_is_not_shared_out(room: int) -> None:
    versions = [Version()]
    share = FairShare(room, lambda: versions)
    assert share.free == room
