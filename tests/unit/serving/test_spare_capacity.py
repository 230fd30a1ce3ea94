import time

from augurium.serving.spare_capacity import SpareCapacity, wanted_s


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


def test_no_more_than_a_tenth_of_the_time_is_spent() -> None:
    clocks = Clocks()
    room = SpareCapacity(100, lambda: clocks.now, lambda: clocks.cpu)
    spent = 0.0
    for _ in range(10_000):
        clocks.spend(0.001, 0.0)
        if room.has_room(1):
            room.spend(0.0007)
            spent += 0.0007
    assert 0.98 < spent < 1.02


def test_a_thread_that_works_wants_the_processor() -> None:
    before, began = wanted_s(), time.thread_time()
    while time.thread_time() - began < 0.02:
        pass
    assert wanted_s() - before >= 0.015
