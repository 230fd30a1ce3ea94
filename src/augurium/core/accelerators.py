"""The port of accelerators: which devices this machine has, and how busy and full each is."""

from typing import Protocol

from msgspec import Struct


class Reading(Struct, frozen=True):
    """One device at one moment. `number` is that of `cuda:N`; `utilization` is the share of the
    last moments in which something ran there, from 0 to 1, None where the device does not say.
    `process_bytes` is what it says each process takes, by process id, as far as it does.
    """

    number: int
    name: str
    uuid: str
    total_bytes: int
    used_bytes: int
    utilization: float | None = None
    process_bytes: dict[int, int] = {}

    @property
    def free_bytes(self) -> int:
        return self.total_bytes - self.used_bytes


class Accelerators(Protocol):
    """The devices of this machine. `read` never raises: what cannot be read is not there."""

    def read(self) -> tuple[Reading, ...]:
        """Every device that processes of this user may use, in the order of their numbers. Takes
        about a millisecond for each; on any thread.
        """
        ...

    @property
    def missing(self) -> str:
        """Why there is nothing to read, and what to do; empty if there is."""
        ...


class MemoryAccelerators:
    """Devices that are what they are set to."""

    def __init__(self, *devices: Reading) -> None:
        self.devices = devices

    def read(self) -> tuple[Reading, ...]:
        return tuple(sorted(self.devices, key=lambda device: device.number))

    @property
    def missing(self) -> str:
        return "" if self.devices else "no device was set"
