"""Who runs next in a runner that several versions share."""

from augurium.serving.runner_turns import Turn, Turns


class Version:
    """Batches that wait, each for a place of its own."""

    def __init__(self, name: str, turns: Turns, begun: list[str], left_s: float = 0.0) -> None:
        self.name = name
        self.turns = turns
        self.begun = begun
        self.batches = 0
        # how long until the next one is due
        self.left_s = left_s

    def ask(self, batches: int) -> None:
        if not self.batches:
            self.turns.join(self)
        self.batches += batches

    @property
    def busy(self) -> bool:
        return self.batches > 0

    def start_one(self) -> Turn:
        if self.left_s:
            return Turn(False, self.left_s)
        if not self.turns.free:
            return Turn(False, None)
        self.turns.free -= 1
        self.batches -= 1
        self.begun.append(self.name)
        return Turn(True, 0.0 if self.batches else None)


def test_versions_take_turns_though_one_asks_for_much_more() -> None:
    turns, begun = Turns(1), list[str]()
    Version("a", turns, begun).ask(5)
    Version("b", turns, begun).ask(2)
    for _ in range(7):
        turns.start_due()
        turns.free = 1
    assert "".join(begun) == "ababaaa"


def test_who_comes_later_waits_for_the_end_of_one_run() -> None:
    turns, begun = Turns(2), list[str]()
    Version("a", turns, begun).ask(9)
    while turns.free:
        turns.start_due()
    Version("b", turns, begun).ask(1)
    turns.start_due()
    assert begun == ["a", "a"]
    turns.free += 1
    turns.start_due()
    turns.free += 1
    turns.start_due()
    assert "b" in begun[2:4]


def test_the_next_look_is_when_the_first_of_them_is_due() -> None:
    turns, begun = Turns(2), list[str]()
    assert turns.start_due() is None
    for name, left_s in (("a", 0.3), ("b", 0.1), ("c", 0.2)):
        Version(name, turns, begun, left_s).ask(1)
    assert turns.start_due() == 0.1
    Version("d", turns, begun).ask(2)
    assert turns.start_due() == 0.0
    assert begun == ["d"]
