from augurium.core.slots import slot_order


def test_slots_stand_by_their_numbers() -> None:
    slots = ["engine-10", "worker-0", "engine-2", "engine", "engine-0", "control"]
    assert sorted(slots, key=slot_order) == [
        *("control", "engine", "engine-0", "engine-2", "engine-10", "worker-0")
    ]
