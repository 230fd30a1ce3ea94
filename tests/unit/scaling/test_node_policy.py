from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.settings import ScalingSettings
from augurium.scaling.node_policy import node_policy
from augurium.scaling.policy import Pace, Targets


def test_settings_become_a_policy() -> None:
    policy = node_policy(
        ScalingSettings(
            min_engines=2,
            max_engines=6,
            target_queue_delay_ms=5.0,
            target_cpu_utilization=0.0,
            down_window_s=60.0,
            schedules=("weekdays 08:00-18:00 min 4",),
            time_zone="Europe/Berlin",
        )
    )

    assert (policy.smallest, policy.largest) == (2, 6)
    assert policy.targets == Targets(queue_delay_s=0.005)
    assert policy.down == Pace(window_s=60.0, count=1, period_s=60.0)
    assert policy.schedules[0].zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"min_engines": 3}, "scaling.min_engines is 3 and scaling.max_engines 2"),
        ({"schedules": ("weekdays min 4",)}, "cannot be read"),
        ({"schedules": ("daily 08:00-18:00 min 4",)}, "at least 4, and the largest number is 2"),
        ({"time_zone": "Nowhere"}, "'Nowhere' is no time zone"),
        ({"target_requests_per_s": float("inf")}, "target request_rate is inf"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(fields: dict[str, Any], said: str) -> None:
    settings = msgspec.structs.replace(ScalingSettings(max_engines=2), **fields)

    with pytest.raises(InvalidArgument, match=said):
        node_policy(settings)
