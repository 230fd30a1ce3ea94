"""The policy of a model's replicas, from what its owner decided."""

from augurium.core.errors import InvalidArgument
from augurium.core.serving_policy import ReplicasPolicy
from augurium.core.time_zones import check_zone
from augurium.scaling.policy import Pace, ScalingPolicy, Targets
from augurium.scaling.schedule import read_schedule


def model_policy(
    replicas: ReplicasPolicy, *, may_sleep: bool = True, stale_s: float = 10.0
) -> ScalingPolicy:
    """What was decided means this; of what may not sleep there is always one. What was measured
    longer than `stale_s` ago does not count. Raises InvalidArgument for what cannot be meant.
    """
    if replicas.least > replicas.most:
        raise InvalidArgument(
            f"replicas.least is {replicas.least} and replicas.most {replicas.most}; expected"
            " 0 <= least <= most"
        )
    check_zone(replicas.time_zone)
    policy = ScalingPolicy(
        smallest=replicas.least if may_sleep else max(1, replicas.least),
        largest=replicas.most,
        targets=Targets(
            cpu_utilization=replicas.target_cpu_utilization or None,
            request_rate=replicas.target_requests_per_s or None,
            queue_delay_s=replicas.target_queue_delay_ms / 1000 or None,
            in_flight=replicas.target_in_flight or None,
            gpu_utilization=replicas.target_gpu_utilization or None,
        ),
        tolerance=replicas.tolerance,
        up=Pace(
            window_s=replicas.up_window_s,
            count=replicas.up_replicas,
            period_s=replicas.up_period_s,
        ),
        down=Pace(
            window_s=replicas.down_window_s,
            count=replicas.down_replicas,
            period_s=replicas.down_period_s,
        ),
        idle_s=replicas.idle_s,
        stale_s=stale_s,
        schedules=tuple(read_schedule(text, replicas.time_zone) for text in replicas.schedules),
    )
    policy.check()
    return policy
