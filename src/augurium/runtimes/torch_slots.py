"""One run on a device: rows into pinned memory, from there to the device, and the answers back.

A slot is all that one run needs: host memory, a stream, recordings. With two of them the copies of
one run overlap the computation of the other.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
import torch

from augurium.core.tensors import Array
from augurium.runtimes.torch import array_of, tensor_of
from augurium.runtimes.torch_devices import Device, Recording

# of one slot: each holds the memory of its inputs, and of what its run needs beside the others
MOST_RECORDINGS = 16
# tensors by name, in; tensors, out
Program = Callable[[Mapping[str, Any]], Sequence[Any]]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]

log = structlog.get_logger()


class HostMemory:
    """Buffers that grow to the largest that was asked for, pinned if the device wants that."""

    def __init__(self, pinned: bool) -> None:
        self._pinned = pinned
        self._buffers: dict[str, Any] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """A tensor in the buffer of this name, which was the memory of the one before."""
        size = torch.Size(shape).numel() * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            capacity = 1 << max(0, size - 1).bit_length()
            buffer = torch.empty(capacity, dtype=torch.uint8, pin_memory=self._pinned)
            self._buffers[name] = buffer
        return buffer[:size].view(dtype).view(shape)


class Recorded(NamedTuple):
    """A recording, and the tensors it reads."""

    inputs: dict[str, Any]
    recording: Recording


class Slot:
    """One run at a time. `recording` is held while something is recorded, by any slot."""

    def __init__(
        self, device: Device, program: Program, records: bool, recording: threading.Lock
    ) -> None:
        self._device = device
        self._program = program
        self._records = records
        self._recording = recording
        self._stream = device.stream()
        self._host = HostMemory(device.pinned)
        # None for shapes that cannot be recorded
        self._recorded: dict[Shapes, Recorded | None] = {}

    def run(
        self, inputs: Mapping[str, Array], dtypes: Mapping[str, Any], size: int | None
    ) -> list[Array]:
        """The outputs of the program, in its order; with a `size`, the rows are filled up to it and
        only theirs come back. Raises what PyTorch does.
        """
        host = {name: self._staged(name, inputs[name], dtypes[name], size) for name in dtypes}
        rows = None if size is None else inputs[next(iter(dtypes))].shape[0]
        with torch.inference_mode(), self._stream.using():
            found = self._computed(host)
            staged = [self._fetched(place, tensor, rows) for place, tensor in enumerate(found)]
            self._stream.finish()
        # the buffers belong to the next run
        return [array_of(tensor).copy() for tensor in staged]

    def _staged(self, name: str, array: Array, dtype: Any, size: int | None) -> Any:
        if size is None or size == array.shape[0]:
            tensor = self._host.tensor(f"in {name}", array.shape, dtype)
            tensor.copy_(tensor_of(array))
            return tensor
        rows = array.shape[0]
        tensor = self._host.tensor(f"in {name}", (size, *array.shape[1:]), dtype)
        tensor[:rows].copy_(tensor_of(array))
        # a row that the model takes, whatever it refuses
        tensor[rows:] = tensor[rows - 1]
        return tensor

    def _computed(self, host: Mapping[str, Any]) -> Sequence[Any]:
        recorded = self._recorded_for(host) if self._records else None
        if recorded is None:
            return self._program({name: self._there(tensor) for name, tensor in host.items()})
        for name, tensor in host.items():
            recorded.inputs[name].copy_(tensor, non_blocking=True)
        recorded.recording.replay()
        return recorded.recording.outputs

    def _there(self, tensor: Any) -> Any:
        """A copy on the device, of this stream alone."""
        found = torch.empty_like(tensor, device=self._device.torch_device)
        return found.copy_(tensor, non_blocking=True)

    def _recorded_for(self, host: Mapping[str, Any]) -> Recorded | None:
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in host.items())
        if shapes in self._recorded:
            return self._recorded[shapes]
        if len(self._recorded) >= MOST_RECORDINGS:
            return None
        inputs = {name: self._there(tensor) for name, tensor in host.items()}
        try:
            with self._recording:
                recording = self._stream.record(lambda: self._program(inputs))
        except RuntimeError as error:
            # work that waits for the device, or sizes that depend on values
            log.warning("not recorded", shapes=shapes, reason=str(error)[:300])
            self._recorded[shapes] = None
            return None
        found = self._recorded[shapes] = Recorded(inputs, recording)
        return found

    def _fetched(self, place: int, tensor: Any, rows: int | None) -> Any:
        tensor = tensor.detach()
        if rows is not None and tensor.ndim:
            tensor = tensor[:rows]
        staged = self._host.tensor(f"out {place}", tuple(tensor.shape), tensor.dtype)
        return staged.copy_(tensor, non_blocking=True)
