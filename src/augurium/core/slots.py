"""The places of a node's processes, such as `engine-0`."""


def slot_order(slot: str) -> tuple[str, int]:
    """Where a slot stands in a list: `engine-2` before `engine-10`."""
    kind, _, number = slot.rpartition("-")
    return (kind, int(number)) if number.isdecimal() else (slot, -1)
