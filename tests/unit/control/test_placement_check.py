"""What may be said about where a model runs."""

import pytest

from augurium.control.placement_check import check_placement
from augurium.core.clock import ManualClock
from augurium.core.errors import InvalidArgument
from augurium.core.serving_policy import PlacementPolicy, ReplicasPolicy, ServingPolicy
from augurium.registry.memory_registry import MemoryRegistry


def test_who_may_have_several_runners_shares_none() -> None:
    policy = ServingPolicy(
        placement=PlacementPolicy(isolation="shared"), replicas=ReplicasPolicy(most=3)
    )
    with pytest.raises(InvalidArgument, match="may have 3 runners"):
        check_placement(MemoryRegistry(ManualClock()), "some", policy)


def test_a_list_of_cpus_is_read() -> None:
    policy = ServingPolicy(placement=PlacementPolicy(cpus="0-"))
    with pytest.raises(InvalidArgument, match="0-"):
        check_placement(MemoryRegistry(ManualClock()), "some", policy)
