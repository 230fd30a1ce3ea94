"""The devices of PyTorch as a model meets them: a CUDA device, and the CPU in its place.

Everything that only CUDA has is here, so that the rest runs on either.

Source: PyTorch, "CUDA semantics": streams, pinned memory, CUDA graphs.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import torch

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import ModelFailed
from augurium.runtimes.placement import most_room, no_such_device, nothing_here

# runs before a recording, so that libraries have chosen and allocated what they need
RUNS_BEFORE = 3


class Recording(NamedTuple):
    """Work that can be repeated: it reads the same inputs and writes the same outputs each time."""

    replay: Callable[[], None]
    outputs: Sequence[Any]


class Stream(Protocol):
    """Work in its order. What is done in `with using()` is put into it."""

    def using(self) -> AbstractContextManager[Any]: ...

    def finish(self) -> None:
        """Waits until all that was put into it is done."""
        ...

    def record(self, work: Callable[[], Sequence[Any]]) -> Recording:
        """Records what `work` does. Raises what PyTorch does for work that cannot be recorded."""
        ...


class Device(Protocol):
    """Where a model is, and where its host memory has to be for copies that overlap."""

    torch_device: Any
    pinned: bool

    def stream(self) -> Stream: ...

    def settle(self) -> None:
        """Waits for everything; raises what PyTorch does when the device is lost."""
        ...

    def give_back(self) -> None:
        """Gives memory that is not in use back to the device."""
        ...

    @property
    def used_bytes(self) -> int:
        """What this process has reserved of the memory of the device."""
        ...


class CpuStream:
    """Everything is done when it is asked for."""

    def using(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def finish(self) -> None:
        pass

    def record(self, work: Callable[[], Sequence[Any]]) -> Recording:
        outputs = list(work())

        def replay() -> None:
            for kept, new in zip(outputs, work(), strict=True):
                kept.copy_(new)

        return Recording(replay, outputs)


class CpuDevice:
    """The CPU behind the contract of a device."""

    torch_device = torch.device("cpu")
    pinned = False
    used_bytes = 0

    def stream(self) -> Stream:
        return CpuStream()

    def settle(self) -> None:
        pass

    def give_back(self) -> None:
        pass


class CudaStream:
    """A stream of its own, and the memory that its recordings share: they never run together."""

    def __init__(self, device: Any) -> None:
        self._stream = torch.cuda.Stream(device)
        # the thread that waits sleeps, and Python goes on meanwhile
        self._done = torch.cuda.Event(blocking=True)
        self._pool: Any = None

    def using(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._stream)  # type: ignore[no-any-return]

    def finish(self) -> None:
        self._done.record(self._stream)
        self._done.synchronize()

    def record(self, work: Callable[[], Sequence[Any]]) -> Recording:
        for _ in range(RUNS_BEFORE):
            work()
        self.finish()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # another thread may allocate for its own stream meanwhile
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            outputs = list(work())
        return Recording(graph.replay, outputs)


class CudaDevice:
    """One CUDA device, of which this process may take `memory_bytes` if that is not 0."""

    pinned = True

    def __init__(self, number: int, memory_bytes: int = 0) -> None:
        self.torch_device = torch.device("cuda", number)
        # a thread that never chose a device has 0
        torch.cuda.set_device(self.torch_device)
        if memory_bytes:
            _, total_bytes = torch.cuda.mem_get_info(self.torch_device)
            share = min(1.0, memory_bytes / total_bytes)
            torch.cuda.set_per_process_memory_fraction(share, self.torch_device)

    def stream(self) -> Stream:
        return CudaStream(self.torch_device)

    def settle(self) -> None:
        torch.cuda.synchronize(self.torch_device)

    def give_back(self) -> None:
        torch.cuda.empty_cache()

    @property
    def used_bytes(self) -> int:
        return int(torch.cuda.memory_reserved(self.torch_device))


def device_of(policy: DevicePolicy) -> Device:
    """The device a policy names. Raises ModelFailed when it is not there."""
    if not policy.on_cuda:
        return CpuDevice()
    if torch.version.cuda is None:
        raise ModelFailed(
            f"the PyTorch here ({torch.__version__}) is built for the CPU; install one for CUDA,"
            " see https://pytorch.org/get-started/locally"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise ModelFailed(nothing_here("PyTorch"))
    number = policy.number
    if number is None:
        number = most_room([torch.cuda.mem_get_info(place)[0] for place in range(count)])
    elif number >= count:
        raise ModelFailed(no_such_device(policy.name, count))
    return CudaDevice(number, policy.memory_bytes)
