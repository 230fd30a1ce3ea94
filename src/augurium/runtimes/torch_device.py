"""PyTorch on a device: exported programs on a CUDA device, or compiled for the CPU.

Imports PyTorch, therefore loaded in runners only.
"""

import os
import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch.export.passes import move_to_device_pass

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.runtimes.batch_sizes import rows_of, size_for
from augurium.runtimes.placement import Placement
from augurium.runtimes.runtime import DeviceLost
from augurium.runtimes.torch import (
    BFLOAT16_OPTION,
    first_line,
    load_program,
    output_names,
    tensor_inputs,
    unflatten,
)
from augurium.runtimes.torch_devices import Device, device_of
from augurium.runtimes.torch_slots import Slot

# one run computes while the rows of the next are copied
SLOTS = 2


class TorchDeviceModel:
    """One exported program on a device. Options, inputs and outputs as `TorchModel` has them."""

    def __init__(self, path: Path, options: Mapping[str, str], placement: Placement) -> None:
        if options not in ({}, BFLOAT16_OPTION):
            raise InvalidArgument(
                f"torch takes no options but {BFLOAT16_OPTION}, got {dict(options)}"
            )
        policy = placement.device
        torch.set_num_threads(1)
        self._device = device_of(policy)
        self._widens = not options
        self._fills_up = policy.records_graphs and placement.batched
        self._most = placement.max_rows
        program = load_program(path)
        with_memory(lambda: self._load(program, compiles=policy.compiles))
        lock = threading.Lock()
        self._slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for _ in range(SLOTS):
            self._slots.put(Slot(self._device, self._call, policy.records_graphs, lock))

    @property
    def device_bytes(self) -> int:
        return self._device.used_bytes

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        rows = rows_of([inputs[name] for name in self._dtypes]) if self._fills_up else None
        size = size_for(rows, self._most) if rows else None
        slot = self._slots.get()
        try:
            found = slot.run(inputs, self._dtypes, size)
        except Exception as error:  # PyTorch raises whatever its operators like
            raise self._failure(error) from error
        finally:
            self._slots.put(slot)
        named = dict(zip(self.output_names, found, strict=True))
        return [named[name] for name in outputs or self.output_names]

    def _load(self, program: Any, *, compiles: bool) -> None:
        self._dtypes = {name: value.dtype for name, value in tensor_inputs(program).items()}
        self.output_names = output_names(program)
        self._program = move_to_device_pass(program, self._device.torch_device)
        module = self._program.module(check_guards=False)
        self._module = compiled(module, self._device) if compiles else module
        self._device.settle()

    def _call(self, tensors: Mapping[str, Any]) -> list[Any]:
        positional, named = unflatten(self._program, tensors)
        found = pytree.tree_leaves(self._module(*positional, **named))
        return [
            tensor.float() if self._widens and tensor.dtype == torch.bfloat16 else tensor
            for tensor in found
        ]

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, torch.OutOfMemoryError):
            self._device.give_back()
            return ModelFailed(full(error))
        try:
            self._device.settle()
        except Exception as lost:  # every call fails from now on
            return DeviceLost(f"the device is lost: {first_line(lost)}")
        return ModelFailed(f"the model failed: {first_line(error)}")


def compiled(module: Any, device: Device) -> Any:
    """The module through `torch.compile`, for batches of any size. Raises ModelFailed where that
    does not work on this machine.
    """
    # in this process: the workers of the compiler are sockets and processes of their own
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device.torch_device))
    except Exception as error:  # compilers fail in their own ways
        raise ModelFailed(
            f"torch.compile does not work here: {first_line(error)}; it needs a C++ compiler, and"
            " Triton for a CUDA device; or set device.compile to 'off'"
        ) from error
    return torch.compile(module, dynamic=True)


def with_memory(load: Any) -> None:
    """Loads. Raises ModelFailed when the memory of the device does not suffice."""
    try:
        load()
    except torch.OutOfMemoryError as error:
        raise ModelFailed(full(error)) from error


def full(error: Exception) -> str:
    """What is told when the memory of a device does not suffice."""
    return (
        f"the memory of the device does not suffice: {first_line(error)}; lower"
        " batching.max_batch_size, raise device.memory_bytes, or let other models go"
    )
