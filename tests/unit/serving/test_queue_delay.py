from augurium.serving.queue_delay import QueueDelay


def told(delay: QueueDelay, *delays: tuple[float, float]) -> list[bool]:
    """Whether it is overloaded after each delay, given as when and how long."""
    found = []
    for now, seconds in delays:
        delay.left(seconds, now)
        found.append(delay.overloaded)
    return found


def test_a_queue_that_stands_for_an_interval_is_overloaded() -> None:
    delay = QueueDelay(0.1, 0.5)
    assert told(delay, (0, 0.2), (0.3, 0.2), (0.6, 0.2)) == [False, False, True]


def test_a_burst_is_not_overload() -> None:
    delay = QueueDelay(0.1, 0.5)
    assert told(delay, (0, 0.3), (0.4, 0.2), (0.45, 0.09), (0.6, 0.3), (1.0, 0.3)) == [False] * 5


def test_a_pause_is_not_overload() -> None:
    delay = QueueDelay(0.1, 0.5)
    assert told(delay, (0, 0.3), (3600, 0.0), (3600.1, 0.3)) == [False] * 3


def test_overload_ends_when_nobody_was_refused_for_an_interval() -> None:
    delay = QueueDelay(0.1, 0.5)
    told(delay, (0, 0.2), (0.6, 0.2))
    delay.refused(0.7)
    assert told(delay, (0.8, 0.09), (1.1, 0.01), (1.3, 0.2), (1.4, 0.09)) == [
        True,
        True,
        True,
        False,
    ]
    told(delay, (2.0, 0.2), (2.6, 0.2))
    assert told(delay, (2.7, 0.09)) == [False]


def test_only_the_beginning_is_told() -> None:
    delay = QueueDelay(0.1, 0.5)
    assert [delay.left(0.2, now) for now in (0, 0.6, 0.7)] == [False, True, False]


def test_without_a_target_nothing_is_overloaded() -> None:
    delay = QueueDelay(0.1, 0.5)
    told(delay, (0, 9), (1, 9))
    delay.set(0, 0.5)
    assert told(delay, (2, 9), (3, 9), (4, 9)) == [False] * 3
