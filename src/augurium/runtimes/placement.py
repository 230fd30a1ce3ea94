"""Where a model is loaded, and what is known of its batches."""

from collections.abc import Sequence
from typing import NamedTuple

from augurium.core.device_policy import CPU, DevicePolicy


class Placement(NamedTuple):
    """A device, and the batches that come there: whether rows are independent of each other, so
    that a batch may be filled up, and how many rows there are at most.
    """

    device: DevicePolicy = CPU
    batched: bool = True
    max_rows: int = 1


def most_room(free_bytes: Sequence[int]) -> int:
    """The number of the device with the most free memory, the first among equals."""
    return max(range(len(free_bytes)), key=lambda number: (free_bytes[number], -number))


def nothing_here(runtime: str) -> str:
    """What is told where there is no device at all."""
    return (
        f"{runtime} finds no CUDA device here; see whether `nvidia-smi` shows one to this user,"
        " whether the driver is new enough, and what CUDA_VISIBLE_DEVICES says; or set device.name"
        " to 'cpu'"
    )


def no_such_device(name: str, count: int) -> str:
    """What is told where there are `count` devices, and none of this name."""
    there = ", ".join(f"cuda:{number}" for number in range(count))
    return f"there is no device '{name}' here; there is {there}: set device.name to one of these"
