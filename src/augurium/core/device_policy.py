"""On which device a model's versions run, and how they are compiled for it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

# which runtimes can put a model on a device other than the CPU
ON_DEVICES = frozenset({"torch", "onnx"})
CUDA = "cuda"


class DevicePolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The device of a model's versions. Whatever is not the default goes to a runner."""

    name: Annotated[str, Meta(pattern="^(cpu|cuda|cuda:(0|[1-9][0-9]{0,2}))$")] = "cpu"
    """`cpu`; `cuda:N` for the device with this number; `cuda` for the one with the most room."""
    memory_bytes: Annotated[int, Meta(ge=0)] = 0
    """Device memory that one version may take, at most; 0 for no limit of its own."""
    compile: Literal["off", "graphs", "inductor", "inductor_graphs"] = "off"
    """`graphs` records CUDA graphs, one per batch size; `inductor` is `torch.compile`, PyTorch
    only; `inductor_graphs` is both.
    """

    @property
    def on_cuda(self) -> bool:
        return self.name.startswith(CUDA)

    @property
    def number(self) -> int | None:
        """The number of the device; None where it is open, and for the CPU."""
        _, _, digits = self.name.partition(":")
        return int(digits) if digits else None

    @property
    def records_graphs(self) -> bool:
        return self.compile in ("graphs", "inductor_graphs")

    @property
    def compiles(self) -> bool:
        """Whether the model goes through `torch.compile`."""
        return self.compile in ("inductor", "inductor_graphs")


CPU = DevicePolicy()


def refusal(policy: DevicePolicy, runtime: str) -> str:
    """Why a runtime cannot serve with this policy, and what to do; empty if it can."""
    if policy == CPU:
        return ""
    if runtime not in ON_DEVICES:
        return (
            f"runtime '{runtime}' runs on the CPU only; a device needs a version of"
            f" {' or '.join(sorted(ON_DEVICES))}: set device.name to 'cpu', or import the model"
            " with --engine onnx"
        )
    if not policy.on_cuda and (policy.records_graphs or policy.memory_bytes):
        return (
            "CUDA graphs and a limit of device memory need a CUDA device; set device.name to"
            " 'cuda:0', or leave both out"
        )
    if policy.compiles and runtime != "torch":
        return (
            f"'{policy.compile}' is torch.compile, and this version runs in {runtime}; use 'off'"
            + (" or 'graphs'" if policy.on_cuda else "")
        )
    return ""
