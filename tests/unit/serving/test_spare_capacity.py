from augurium.serving.spare_capacity import SpareCapacity


class Clocks:
    """The time, and the processor time of a thread."""

    def __init__(self) -> None:
        self.now, self.cpu = 100.0, 3.0

    def spend(self, seconds: float, busy: float) -> None:
        self.now += seconds
        self.cpu += seconds * busy


def test_there_is_room_as_long_as_the_loop_has_time() -> None:
    clocks = Clocks()
    room = SpareCapacity(100, lambda: clocks.now, lambda: clocks.cpu)
    found = []
    for busy in (0.0, 0.5, 0.9, 0.9, 0.6):
        clocks.spend(0.2, busy)
        found.append(room.has_room(1))
    # the first look only says where to begin
    assert found == [True, True, False, False, True]


def test_a_short_time_says_nothing_yet() -> None:
    clocks = Clocks()
    room = SpareCapacity(100, lambda: clocks.now, lambda: clocks.cpu)
    room.has_room(1)
    clocks.spend(0.05, 1.0)
    assert room.has_room(1)
    clocks.spend(0.06, 1.0)
    assert not room.has_room(1)


def test_there_is_room_until_a_quarter_of_the_places_is_taken() -> None:
    clocks = Clocks()
    room = SpareCapacity(100, lambda: clocks.now, lambda: clocks.cpu)
    assert [room.has_room(number) for number in (25, 26)] == [True, False]


def test_a_turn_that_came_late_is_noticed() -> None:
    clocks = Clocks()
    room = SpareCapacity(100, lambda: clocks.now, lambda: clocks.cpu)
    asked = room.now()
    found = [room.is_late(asked)]
    clocks.spend(0.03, 0.0)
    assert [*found, room.is_late(asked)] == [False, True]
