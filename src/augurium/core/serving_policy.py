"""How a model is served, beyond which versions: what may be decided per model, at any time."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from augurium.core.device_policy import DevicePolicy

LONGEST_S = 30 * 24 * 3600
Seconds = Annotated[float, Meta(ge=0, le=LONGEST_S)]


class CachePolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long the answer to a row is remembered. Durations are in seconds."""

    ttl_s: Seconds = 0.0
    """0: not at all."""
    stale_if_error_s: Seconds = 0.0
    """How long after that it is still given when the model cannot be asked (RFC 5861)."""


class ResidencyPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a model's versions are when memory is limited."""

    pinned: bool = False
    """Always in memory: loaded before the first request, and never put to sleep."""


class PlacementPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """In which process a model's versions run, and on what."""

    isolation: Literal["shared", "dedicated"] | None = None
    """`shared`: in the engines (ONNX), or in one process with others of the same framework;
    `dedicated`: in a process of its own. None says it by the framework; Python functions and
    pickles are never shared.
    """
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Threads of the framework within one run; 0 for one."""
    cpus: Annotated[str, Meta(max_length=1000)] = ""
    """The CPUs its process may use, such as `0-3,8`; empty for all."""


class OverloadPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When requests for a model are refused because there are too many, in each engine."""

    target_queue_delay_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None
    """Instead of the node's `batching.target_queue_delay_ms`; 0 for waiting until the deadline."""
    interval_ms: Annotated[float, Meta(ge=1, le=60_000)] | None = None
    """Instead of the node's `batching.overload_interval_ms`."""
    max_concurrency: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Requests for one version that an engine works on, at most; 0 for no limit of the model's own.
    """
    adaptive_concurrency: bool = False
    """Find the limit by watching how long answers take; `max_concurrency` is the most it may be."""


class StaleStep(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="stale",
    tag_field="kind",
):
    """What the prediction cache remembers of the rows, also beyond its time to live."""

    max_age_s: Annotated[float, Meta(gt=0, le=LONGEST_S)]


class ModelStep(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="model",
    tag_field="kind",
):
    """Another model, version or alias: `name`, `name@alias` or `name@3`."""

    model: Annotated[str, Meta(min_length=1, max_length=260)]


class ConstantStep(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="constant",
    tag_field="kind",
):
    """The same answer to every row: a value by output, or a list where a row has several."""

    outputs: dict[str, Any]


FallbackStep = StaleStep | ModelStep | ConstantStep


class BreakerPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a version that fails is not asked any more: its circuit is open."""

    failure_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Share of the answers within the window that are failures."""
    window_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    least_requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    """With fewer in the window nothing is said about it."""
    open_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    """How long until it is tried again, by one request at a time."""
    probes: Annotated[int, Meta(ge=1, le=1000)] = 3
    """How many of these must be answered one after another."""


class FallbackPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is answered when the version that was asked fails, is too slow or is overloaded."""

    steps: Annotated[tuple[FallbackStep, ...], Meta(max_length=8)] = ()
    """Tried in this order; none for no fallback."""
    timeout_ms: Annotated[float, Meta(ge=0, le=3_600_000)] = 0.0
    """How long the version may take; 0 for three quarters of the time that the caller gives."""
    max_concurrency: Annotated[int, Meta(ge=1, le=100_000)] = 16
    """Requests that other models answer in its place at the same time, in each engine."""
    exercise_fraction: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Share of answered requests that are also given to the first model among the steps, so that it
    is known to work; its answers are thrown away.
    """
    breaker: BreakerPolicy = BreakerPolicy()


class ReplicasPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many runners a version has whose engine is not ONNX: a fixed number, or by the load.

    The words are those of the settings for engines (`scaling`): a target is what one replica shall
    have, 0 leaves it out, and the one that asks for the most replicas wins.
    """

    least: Annotated[int, Meta(ge=0, le=64)] = 1
    """The fewest; 0 lets them go when nobody has asked for `idle_s`, and the next request waits
    until one is there.
    """
    most: Annotated[int, Meta(ge=1, le=64)] = 1
    """The most; the same as `least` for a fixed number."""
    target_cpu_utilization: Annotated[float, Meta(ge=0, le=64)] = 0.7
    """CPU time per second of one runner; 1 is a whole core."""
    target_requests_per_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """Requests per second of one replica."""
    target_queue_delay_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    """Mean time of a request in the queues of the engines."""
    target_in_flight: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """Requests that are not yet answered, per replica."""
    target_gpu_utilization: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Share of the time in which the GPU is busy, where it can be measured."""
    tolerance: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """A measure within this share of its target changes nothing."""
    up_window_s: Annotated[float, Meta(ge=0, le=3600)] = 6.0
    """More are started when everything measured in this time asked for more."""
    up_replicas: Annotated[int, Meta(ge=1, le=64)] = 4
    """How many may be added in `up_period_s`."""
    up_period_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """See `up_replicas`."""
    down_window_s: Annotated[float, Meta(ge=0, le=86400)] = 300.0
    """Fewer remain when everything measured in this time asked for fewer."""
    down_replicas: Annotated[int, Meta(ge=1, le=64)] = 1
    """How many may be taken away in `down_period_s`."""
    down_period_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """See `down_replicas`."""
    idle_s: Annotated[float, Meta(ge=0, le=LONGEST_S)] = 300.0
    """How long nobody asks before the last one goes, where `least` is 0."""
    schedules: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=64)] = ()
    """Times with another minimum or maximum, each `DAYS HH:MM-HH:MM [ZONE] [min N] [max N]`."""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """The zone of schedules that name none."""


class SloPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What callers of a model may expect; requests that miss it are counted by variant."""

    latency_ms: Annotated[float, Meta(gt=0, le=3_600_000)] = 100.0
    """How long an answer may take."""

    @property
    def latency_s(self) -> float:
        """The same in seconds."""
        return self.latency_ms / 1000


class LogPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is recorded of a model's predictions."""

    sample: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the requests that are recorded with inputs and outputs, instead of the node's
    `prediction_log.sample`.
    """
    exposures: bool = False
    """Record every request, the others without inputs and outputs: who was given which variant,
    the score and the outcome. Experiments need it.
    """
    redact: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=1024)
    ] = ()
    """Inputs, features and outputs whose values are never recorded; `*` for all of them."""


class ServingPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model's owner may decide about serving it."""

    cache: CachePolicy = CachePolicy()
    residency: ResidencyPolicy = ResidencyPolicy()
    placement: PlacementPolicy = PlacementPolicy()
    overload: OverloadPolicy = OverloadPolicy()
    fallback: FallbackPolicy = FallbackPolicy()
    replicas: ReplicasPolicy = ReplicasPolicy()
    device: DevicePolicy = DevicePolicy()
    slo: SloPolicy = SloPolicy()
    log: LogPolicy = LogPolicy()
