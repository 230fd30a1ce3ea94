"""What every way to the accelerators promises: devices that were set, and those of this machine."""

import pytest

from augurium.core.accelerators import Accelerators, MemoryAccelerators, Reading
from augurium.core.nvml import NvmlAccelerators, visible_places

TWO = MemoryAccelerators(
    Reading(1, "B", "GPU-b", 100, 60, 0.5, {7: 20}), Reading(0, "A", "GPU-a", 100, 10)
)
UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-cc33"]


@pytest.fixture(params=[TWO, MemoryAccelerators(), NvmlAccelerators()], ids=["two", "none", "nvml"])
def accelerators(request: pytest.FixtureRequest) -> Accelerators:
    found: Accelerators = request.param
    return found


def test_devices_come_in_the_order_of_their_numbers(accelerators: Accelerators) -> None:
    readings = accelerators.read()
    assert [reading.number for reading in readings] == list(range(len(readings)))


def test_what_is_read_can_be(accelerators: Accelerators) -> None:
    for reading in accelerators.read():
        assert 0 <= reading.used_bytes <= reading.total_bytes
        assert reading.free_bytes == reading.total_bytes - reading.used_bytes
        assert reading.utilization is None or 0 <= reading.utilization <= 1
        assert reading.name
        assert reading.uuid


def test_without_devices_it_is_said_why(accelerators: Accelerators) -> None:
    assert bool(accelerators.missing) == (not accelerators.read())


def test_nvml_that_is_not_there_is_told_with_what_to_do() -> None:
    accelerators = NvmlAccelerators()
    if accelerators.read():
        pytest.skip("there are devices here")
    assert any(word in accelerators.missing for word in ("pip install", "nvidia-smi"))


@pytest.mark.parametrize(
    ("visible", "places"),
    [
        ("0,1,2", [0, 1, 2]),
        ("2, 0", [2, 0]),
        ("", []),
        ("1,9,0", [1]),
        ("-1,0", []),
        ("GPU-cc,GPU-aa11", [2, 0]),
        ("GPU-a", []),
        ("0,0", [0]),
        ("MIG-1", []),
    ],
)
def test_what_cuda_may_see_is_counted_as_cuda_does(visible: str, places: list[int]) -> None:
    assert visible_places(visible, UUIDS) == places
