"""What the driver of NVIDIA's devices opens in a process that uses them.

Source: NVIDIA, "CUDA on Linux", device nodes; nvidia-container-toolkit, what it mounts.
"""

from pathlib import Path

# what is read and written: the devices themselves, and the one of WSL
NODES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset",
         "nvidia-caps", "dxg")  # fmt: skip
READ = ("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/devices",
        "/sys/module/nvidia", "/sys/module/nvidia_uvm", "/etc/nvidia")  # fmt: skip
# which devices there are, and in which order; the order is that of `nvidia-smi`
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_CACHE_MAXSIZE")
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def device_nodes(folder: Path = Path("/dev")) -> tuple[str, ...]:
    """The device files of this machine, none if it has no such device."""
    return tuple(sorted(str(node) for pattern in NODES for node in folder.glob(pattern)))
