"""What was measured of a group of replicas, once."""

import msgspec


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What `measured` replicas were doing until `at`, seconds of a monotonic clock.

    `request_rate` (1/s) and `in_flight` are sums over them, `cpu_utilization` (1 is one core) and
    `gpu_utilization` (0 to 1) means per replica, `queue_delay_s` the mean of their requests. None
    is what could not be measured, which is never the same as nothing.
    """

    at: float
    measured: int
    request_rate: float | None = None
    in_flight: float | None = None
    queue_delay_s: float | None = None
    cpu_utilization: float | None = None
    gpu_utilization: float | None = None
