"""Accelerators by NVML, the library behind `nvidia-smi`.

Source: NVIDIA, "NVML API Reference Guide"; the package nvidia-ml-py (`pynvml`).
"""

import importlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from augurium.core.accelerators import Reading

VISIBLE = "CUDA_VISIBLE_DEVICES"


class NvmlAccelerators:
    """The devices that NVML finds. The library is opened by the first reading and stays open."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._visible = environment.get(VISIBLE)
        self._lock = threading.Lock()
        self._nvml: Any = None
        self._handles: list[Any] = []
        self._missing = ""

    @property
    def missing(self) -> str:
        self._open()
        return self._missing

    def read(self) -> tuple[Reading, ...]:
        self._open()
        found = []
        for number, handle in enumerate(self._handles):
            # a device may be lost between two readings
            with suppress(self._nvml.NVMLError):
                found.append(self._reading(number, handle))
        return tuple(found)

    def _open(self) -> None:
        with self._lock:
            if self._nvml is not None or self._missing:
                return
            try:
                self._nvml = importlib.import_module("pynvml")
            except ImportError:
                self._missing = "nvidia-ml-py is missing; run: pip install 'augurium[gpu]'"
                return
            try:
                self._nvml.nvmlInit()
                self._handles = self._visible_handles()
            except self._nvml.NVMLError as error:
                self._missing = f"NVML finds no driver ({error}); see whether `nvidia-smi` works"
                return
            if not self._handles:
                self._missing = f"NVML finds no device that {VISIBLE} leaves here"

    def _visible_handles(self) -> list[Any]:
        """In the order of CUDA, which counts what is visible only, and stops at what is none."""
        nvml = self._nvml
        every = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        if self._visible is None:
            return every
        uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in every]
        places = visible_places(self._visible, uuids)
        return [every[place] for place in places]

    def _reading(self, number: int, handle: Any) -> Reading:
        nvml = self._nvml
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        utilization, processes = None, {}
        # not every device and driver says these
        with suppress(nvml.NVMLError):
            utilization = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        with suppress(nvml.NVMLError):
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            processes = {one.pid: one.usedGpuMemory for one in running if one.usedGpuMemory}
        return Reading(
            number,
            _text(nvml.nvmlDeviceGetName(handle)),
            _text(nvml.nvmlDeviceGetUUID(handle)),
            int(memory.total),
            int(memory.used),
            utilization,
            processes,
        )


def visible_places(visible: str, uuids: list[str]) -> list[int]:
    """Which of the devices CUDA_VISIBLE_DEVICES leaves, in its order: numbers, or the beginnings of
    UUIDs; what comes after one that is not there counts no more.

    Source: NVIDIA, "CUDA C++ Programming Guide", environment variables.
    """
    places: list[int] = []
    for word in (part.strip() for part in visible.split(",")):
        if word.isdigit():
            found = [int(word)] if int(word) < len(uuids) else []
        else:
            found = [i for i, uuid in enumerate(uuids) if word and uuid.startswith(word)]
        if len(found) != 1 or found[0] in places:
            break
        places += found
    return places


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
