"""The memory of devices, shared by the versions on each: a budget by the name in their policies."""

import sys
from concurrent.futures import ThreadPoolExecutor

from augurium.core.device_policy import DevicePolicy
from augurium.serving.memory_budget import MemoryBudget

SETTING = "gpu.memory_bytes"


class DeviceBudgets:
    """One budget per device, each of `limit_bytes` for one engine, 0 for no limit. Versions for any
    device (`cuda`) have one of their own, because nobody knows before where they will be.
    """

    def __init__(self, limit_bytes: int, loads: ThreadPoolExecutor) -> None:
        self.limited = limit_bytes > 0
        self._limit_bytes = limit_bytes or sys.maxsize
        self._loads = loads
        self._budgets: dict[str, MemoryBudget] = {}

    def of(self, device: DevicePolicy) -> MemoryBudget:
        """The budget of a device, made when it is first asked for."""
        budget = self._budgets.get(device.name)
        if budget is None:
            budget = MemoryBudget(self._limit_bytes, self._loads, setting=SETTING)
            self._budgets[device.name] = budget
        return budget
