from concurrent.futures import ThreadPoolExecutor

import pytest

from augurium.core.device_policy import DevicePolicy
from augurium.core.errors import NotReady
from augurium.serving.device_budgets import DeviceBudgets
from augurium.serving.memory_budget import Resident


def _version(name: str, size_bytes: int) -> Resident:
    """One in a process of its own, which says what it takes of the device."""
    return Resident(
        name, size_bytes // 2, lambda: None, lambda: None, takes=lambda: size_bytes
    )  # fmt: skip


async def test_versions_share_the_memory_of_their_device_and_of_no_other() -> None:
    with ThreadPoolExecutor(1) as loads:
        budgets = DeviceBudgets(100, loads)
        first, second = (
            budgets.of(DevicePolicy(name="cuda:0")),
            budgets.of(DevicePolicy(name="cuda:1")),
        )
        one, two, other = _version("one", 60), _version("two", 60), _version("other", 60)

        await first.wake(one)
        await second.wake(other)
        await first.wake(two)

    assert (one.awake, two.awake, other.awake) == (False, True, True)
    assert first.used_bytes == second.used_bytes == 60


async def test_how_a_model_is_compiled_does_not_change_whose_memory_it_takes() -> None:
    with ThreadPoolExecutor(1) as loads:
        budgets = DeviceBudgets(100, loads)
        graphs = DevicePolicy(name="cuda:0", compile="graphs", memory_bytes=5)
        assert budgets.of(graphs) is budgets.of(DevicePolicy(name="cuda:0"))


async def test_a_version_larger_than_its_device_is_told_which_setting_to_raise() -> None:
    with ThreadPoolExecutor(1) as loads:
        budget = DeviceBudgets(100, loads).of(DevicePolicy(name="cuda:0"))
        with pytest.raises(NotReady, match=r"raise gpu\.memory_bytes"):
            await budget.wake(_version("large", 400))


async def test_without_a_limit_everything_stays() -> None:
    with ThreadPoolExecutor(1) as loads:
        budgets = DeviceBudgets(0, loads)
        versions = [_version(str(number), 2**40) for number in range(3)]
        for version in versions:
            await budgets.of(DevicePolicy(name="cuda:0")).wake(version)
    assert not budgets.limited
    assert all(version.awake for version in versions)
