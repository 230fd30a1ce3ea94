"""The policy of a node's engines, from its settings."""

from augurium.core.errors import InvalidArgument
from augurium.core.settings import ScalingSettings
from augurium.core.time_zones import check_zone
from augurium.scaling.policy import Pace, ScalingPolicy, Targets
from augurium.scaling.schedule import read_schedule


def node_policy(scaling: ScalingSettings) -> ScalingPolicy:
    """What the settings mean. Raises InvalidArgument for what cannot be meant."""
    if scaling.min_engines > scaling.max_engines:
        raise InvalidArgument(
            f"scaling.min_engines is {scaling.min_engines} and scaling.max_engines"
            f" {scaling.max_engines}; expected 1 <= min_engines <= max_engines"
        )
    check_zone(scaling.time_zone)
    policy = ScalingPolicy(
        smallest=scaling.min_engines,
        largest=scaling.max_engines,
        targets=Targets(
            cpu_utilization=scaling.target_cpu_utilization or None,
            request_rate=scaling.target_requests_per_s or None,
            queue_delay_s=scaling.target_queue_delay_ms / 1000 or None,
            in_flight=scaling.target_in_flight or None,
        ),
        tolerance=scaling.tolerance,
        up=Pace(
            window_s=scaling.up_window_s, count=scaling.up_engines, period_s=scaling.up_period_s
        ),
        down=Pace(
            window_s=scaling.down_window_s,
            count=scaling.down_engines,
            period_s=scaling.down_period_s,
        ),
        stale_s=scaling.stale_s,
        schedules=tuple(read_schedule(text, scaling.time_zone) for text in scaling.schedules),
    )
    policy.check()
    return policy
