"""The metrics of a node as Prometheus text: our own names, and Triton's for existing dashboards.

Source of the `nv_inference_...` names: Triton Inference Server, "Metrics"; of the histograms among
them: Triton's open proposal for native histograms.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from augurium.control.batch_counts import BatchCounts
from augurium.control.batch_metrics import batch_jobs
from augurium.control.batch_schedule_metrics import ScheduleFacts, batch_schedules
from augurium.control.exposition import Exposition, labels
from augurium.control.prediction_records import PredictionCounts
from augurium.control.shadow_metrics import shadows
from augurium.control.variant_exposition import add_variants
from augurium.core.accelerators import Reading
from augurium.core.errors import ErrorKind
from augurium.serving.metrics import EngineMetrics, Histogram, VersionMetrics

MICROSECONDS = 1e6
MILLISECONDS = 1e3
ENGINE_STATES = ("starting", "serving", "draining")
REJECTED = (
    ErrorKind.OVERLOADED,
    ErrorKind.RATE_LIMITED,
    ErrorKind.NOT_READY,
    ErrorKind.DEADLINE_EXCEEDED,
)
FAILURE_REASONS: Mapping[str, str] = {
    **dict.fromkeys(REJECTED, "REJECTED"),
    ErrorKind.CANCELLED: "CANCELED",
    ErrorKind.MODEL_FAILED: "BACKEND",
}
VERSION_COUNTERS: tuple[tuple[str, str, Callable[[VersionMetrics], float]], ...] = (
    ("augurium_rows_total", "Rows that were inferred", lambda v: v.rows),
    ("augurium_executions_total", "Model runs", lambda v: v.executions),
    ("augurium_runner_restarts_total", "Restarts of its runner", lambda v: v.runner_restarts),
    ("augurium_loads_total", "Times it was brought into memory for a request", lambda v: v.loads),
    ("augurium_evictions_total", "Times it was put to sleep", lambda v: v.evictions),
    (
        "augurium_passed_on_requests_total",
        "Requests that the engine which has it in memory answered for another",
        lambda v: v.passed_on,
    ),
    (
        "augurium_cache_hits_total",
        "Requests answered from the prediction cache alone",
        lambda v: v.cache_hits,
    ),
    (
        "augurium_cache_misses_total",
        "Requests that asked the prediction cache and had to run rows",
        lambda v: v.cache_misses,
    ),
    (
        "augurium_cache_stale_total",
        "Requests answered with what had expired, because the model failed",
        lambda v: v.cache_stale,
    ),
    (
        "augurium_cache_hit_rows_total",
        "Rows that were in the prediction cache",
        lambda v: v.cache_hit_rows,
    ),
    (
        "augurium_cache_miss_rows_total",
        "Rows that were looked up and had to run",
        lambda v: v.cache_miss_rows,
    ),
    (
        "augurium_cache_shared_rows_total",
        "Rows that came from the cache shared by engines and nodes",
        lambda v: v.cache_shared_rows,
    ),
    ("nv_cache_num_hits_per_model", "Requests answered from the cache", lambda v: v.cache_hits),
    ("nv_cache_num_misses_per_model", "Requests not in the cache", lambda v: v.cache_misses),
    (
        "nv_cache_hit_duration_per_model",
        "Time to look up requests that were in the cache, microseconds",
        lambda v: round(v.cache_hit_s * MICROSECONDS),
    ),
    (
        "nv_cache_miss_duration_per_model",
        "Time to look up requests that were not in the cache, microseconds",
        lambda v: round(v.cache_miss_s * MICROSECONDS),
    ),
    (
        "nv_inference_request_success",
        "Requests answered with success",
        lambda v: v.outcomes.get("ok", 0),
    ),
    ("nv_inference_count", "Rows that were inferred", lambda v: v.rows),
    ("nv_inference_exec_count", "Model runs", lambda v: v.executions),
    (
        "nv_inference_request_duration_us",
        "Time in requests, microseconds",
        lambda v: _us(v.request_s),
    ),
    ("nv_inference_queue_duration_us", "Time in queues, microseconds", lambda v: _us(v.queue_s)),
    (
        "nv_inference_compute_input_duration_us",
        "Time of requests in which their runs gathered inputs, microseconds",
        lambda v: round(v.inferred.input_s * MICROSECONDS),
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Time of requests in model runs, microseconds",
        lambda v: round(v.inferred.infer_s * MICROSECONDS),
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Time of requests in which answers were taken apart, microseconds",
        lambda v: round(v.inferred.output_s * MICROSECONDS),
    ),
)
NESTED_COUNTERS: tuple[
    tuple[str, str, tuple[str, str], Callable[[VersionMetrics], dict[str, dict[str, int]]]], ...
] = (
    (
        "augurium_refused_total",
        "Requests refused as overloaded, by reason and priority",
        ("reason", "priority"),
        lambda v: v.refused,
    ),
    (
        "augurium_degraded_total",
        "Requests that the fallback answered, by reason and step; each also counts as failed",
        ("reason", "step"),
        lambda v: v.degraded,
    ),
    (
        "augurium_fallback_skipped_total",
        "Steps of the fallback that gave no answer, by step and why",
        ("step", "why"),
        lambda v: v.fallback_skipped,
    ),
    (
        "augurium_fallback_exercised_total",
        "Trials of the fallback on requests that were answered, by step and outcome",
        ("step", "outcome"),
        lambda v: v.fallback_exercised,
    ),
)
VERSION_GAUGES: tuple[tuple[str, str, Callable[[VersionMetrics], float]], ...] = (
    (
        "augurium_resident_bytes",
        "Memory that the version takes in all engines, as measured when it was loaded",
        lambda v: v.resident_bytes,
    ),
    ("augurium_resident_engines", "Engines that have it in memory", lambda v: v.resident),
    (
        "augurium_runner_replicas",
        "Runners that the version has now, 0 for one that lives in the engines",
        lambda v: len(v.runner_pids),
    ),
    (
        "augurium_overloaded",
        "Engines in which more is asked than can be answered in time",
        lambda v: v.overloaded,
    ),
    (
        "augurium_concurrency_limit",
        "Requests that all engines work on at most, 0 without a limit of the model's own",
        lambda v: v.concurrency_limit,
    ),
    (
        "augurium_breakers_open",
        "Engines that do not ask the version because it fails too often",
        lambda v: v.breakers_open,
    ),
    ("augurium_pending_requests", "Requests not yet answered", lambda v: v.pending),
    ("nv_inference_pending_request_count", "Requests not yet answered", lambda v: v.pending),
    (
        "augurium_warm_up_seconds",
        "Time of the version's latest warm-up, slowest engine",
        lambda v: v.warm_up_s,
    ),
    ("nv_model_load_duration_secs", "Time to load the version, slowest engine", lambda v: v.load_s),
)
VERSION_HISTOGRAMS: tuple[tuple[str, str, Callable[[VersionMetrics], Histogram], float], ...] = (
    ("augurium_request_seconds", "Time of a request, s", lambda v: v.request_s, 1),
    ("augurium_queue_seconds", "Time in the queue, s", lambda v: v.queue_s, 1),
    ("augurium_compute_seconds", "Time of a model run, s", lambda v: v.compute_s, 1),
    ("augurium_batch_rows", "Rows in a model run", lambda v: v.batch_rows, 1),
    (
        "nv_inference_request_duration_histogram_us",
        "Time of a request, microseconds",
        lambda v: v.request_s,
        MICROSECONDS,
    ),
    (
        "nv_inference_queue_duration_histogram_us",
        "Time in the queue, microseconds",
        lambda v: v.queue_s,
        MICROSECONDS,
    ),
    (
        "nv_inference_compute_infer_duration_histogram_us",
        "Time of a model run, microseconds",
        lambda v: v.compute_s,
        MICROSECONDS,
    ),
)


class NodeFacts(msgspec.Struct, frozen=True):
    """What control itself knows; `restarts` counts per engine slot, `engines` by state,
    `scaling_decisions` by direction, `replica_decisions` by model and direction; `counters` are
    those of each engine that is connected, `devices` the accelerators of the machine,
    `predictions` what became of those to be recorded. `feedback` has rows by what they were (see
    FEEDBACK) and model. `rollouts` are the active ones by model with kind, version and status,
    `rollbacks` count by model and reason, `webhooks` by what became of an event.
    `batch` is what batch jobs did, `schedules` what became of runs of schedules.
    """

    engines_connected: int
    snapshot_revision: int
    restarts: dict[str, int] = {}
    engines: Mapping[str, int] = {}
    scaling_decisions: Mapping[str, int] = {}
    replica_decisions: Mapping[str, Mapping[str, int]] = {}
    counters: Mapping[str, EngineMetrics] = {}
    devices: Sequence[Reading] = ()
    predictions: PredictionCounts = PredictionCounts()
    feedback: Mapping[str, Mapping[str, int]] = {}
    feedback_rejected: int = 0
    rollouts: Mapping[str, tuple[str, int, str]] = {}
    rollbacks: Mapping[tuple[str, str], int] = {}
    webhooks: Mapping[str, int] = {}
    batch: BatchCounts | None = None
    schedules: ScheduleFacts = ScheduleFacts()


PREDICTION_COUNTERS: tuple[tuple[str, str, Callable[[PredictionCounts], float]], ...] = (
    (
        "augurium_prediction_log_records_total",
        "Predictions that were written to the prediction log",
        lambda p: p.records,
    ),
    (
        "augurium_prediction_log_bytes_total",
        "Bytes that were written to the prediction log",
        lambda p: p.written_bytes,
    ),
)


FEEDBACK = {
    "received": "Rows of feedback that were taken",
    "repeated": "Rows of feedback that said what another of the recent ones had said",
    "conflicting": "Rows of feedback that gave an outcome another value than a recent one",
}
ENGINE_VALUES: tuple[tuple[str, str, str, Callable[[EngineMetrics], float]], ...] = (
    ("augurium_engine_memory_bytes", "gauge", "Resident memory", lambda e: e.memory_bytes),
    (
        "augurium_engine_model_budget_bytes",
        "gauge",
        "What models may take of it, 0 for no limit",
        lambda e: e.budget_bytes,
    ),
)


DEVICE_VALUES: tuple[tuple[str, str, Callable[[Reading], float | None]], ...] = (
    (
        "augurium_gpu_utilization_ratio",
        "Share of the last moments in which something ran on a device",
        lambda d: d.utilization,
    ),
    ("augurium_gpu_memory_bytes", "Memory of a device", lambda d: d.total_bytes),
    (
        "augurium_gpu_memory_used_bytes",
        "Memory of a device that is in use, by whatever process",
        lambda d: d.used_bytes,
    ),
)


def render(metrics: EngineMetrics, node: NodeFacts) -> bytes:
    """The whole page; `metrics` is the sum over all engines."""
    page = Exposition()
    _node(page, metrics, node)
    _rollouts(page, node)
    batch_jobs(page, node.batch or BatchCounts(""))
    batch_schedules(page, node.schedules)
    _first_answers(page, metrics.versions)
    _requests(page, metrics.versions)
    for name, description, value in VERSION_COUNTERS:
        _values(page, "counter", (name, description), metrics.versions, value)
    for name, description, value in VERSION_GAUGES:
        _values(page, "gauge", (name, description), metrics.versions, value)
    shadows(page, metrics.versions)
    # of a thousand models most are idle: their empty buckets would be nine tenths of the page
    asked = [version for version in metrics.versions if version.outcomes or version.executions]
    for name, description, histogram, scale in VERSION_HISTOGRAMS:
        page.family(name, "histogram", description)
        for version in asked:
            page.histogram(_of(version), histogram(version), scale)
    add_variants(page, metrics.versions)
    return page.text()


def _node(page: Exposition, metrics: EngineMetrics, node: NodeFacts) -> None:
    page.family("augurium_engines_connected", "gauge", "Engines that are connected to control")
    page.sample("", node.engines_connected)
    page.family("augurium_snapshot_revision", "gauge", "Revision of the newest desired state")
    page.sample("", node.snapshot_revision)
    page.family("augurium_engine_restarts_total", "counter", "Times a slot got another process")
    for engine, count in node.restarts.items():
        page.sample(labels(engine=engine), count)
    for name, kind, description, value in ENGINE_VALUES:
        page.family(name, kind, description)
        for engine, counters in node.counters.items():
            page.sample(labels(engine=engine), value(counters))
    _devices(page, node.devices)
    _feedback(page, node)
    page.family("augurium_engines", "gauge", "Engines by state: starting, serving, draining")
    for state in ENGINE_STATES:
        page.sample(labels(state=state), node.engines.get(state, 0))
    page.family(
        "augurium_scaling_decisions_total",
        "counter",
        "Decisions about the number of engines by direction: up, down, hold",
    )
    for direction, count in node.scaling_decisions.items():
        page.sample(labels(direction=direction), count)
    page.family(
        "augurium_replica_decisions_total",
        "counter",
        "Decisions about the number of a model's replicas by direction: up, down, hold",
    )
    for model, counts in node.replica_decisions.items():
        for direction, count in counts.items():
            page.sample(labels(model=model, direction=direction), count)
    page.family("augurium_engine_cpu_seconds_total", "counter", "CPU time of all engines, seconds")
    page.sample("", metrics.cpu_s)
    page.family(
        "augurium_cache_shared_failures_total",
        "counter",
        "Times the shared cache could not be asked or told",
    )
    page.sample("", metrics.shared_cache_failures)
    _predictions(page, node.predictions)
    page.family(
        "augurium_unrouted_requests_total", "counter", "Requests that reached no version, by kind"
    )
    for outcome, count in metrics.unrouted.items():
        page.sample(labels(outcome=outcome), count)


def _predictions(page: Exposition, counts: PredictionCounts) -> None:
    for name, description, value in PREDICTION_COUNTERS:
        page.family(name, "counter", description)
        page.sample("", value(counts))
    page.family(
        "augurium_prediction_log_dropped_total",
        "counter",
        "Predictions that were not recorded, by where there was no room: engine, control, store",
    )
    for place, count in counts.dropped.items():
        page.sample(labels(place=place), count)


def _feedback(page: Exposition, node: NodeFacts) -> None:
    for what, description in FEEDBACK.items():
        page.family(f"augurium_feedback_{what}_total", "counter", description)
        for model, count in node.feedback.get(what, {}).items():
            page.sample(labels(model=model), count)
    page.family(
        "augurium_feedback_rejected_total", "counter", "Rows of feedback that were not taken"
    )
    page.sample("", node.feedback_rejected)


def _rollouts(page: Exposition, node: NodeFacts) -> None:
    page.family("augurium_rollout_state", "gauge", "1 for the active rollout of a model")
    for model, (kind, version, status) in sorted(node.rollouts.items()):
        page.sample(labels(model=model, kind=kind, version=version, state=status), 1)
    page.family(
        "augurium_canary_rollbacks_total",
        "counter",
        "Rollouts that gave all requests back, by what was found or `operator`",
    )
    for (model, reason), count in sorted(node.rollbacks.items()):
        page.sample(labels(model=model, reason=reason), count)
    page.family(
        "augurium_webhooks_total",
        "counter",
        "Events for receivers of webhooks: delivered, dropped, refused, given_up; failed_attempts",
    )
    for outcome, count in sorted(node.webhooks.items()):
        page.sample(labels(outcome=outcome), count)


def _devices(page: Exposition, devices: Sequence[Reading]) -> None:
    for name, description, value in DEVICE_VALUES:
        page.family(name, "gauge", description)
        for device in devices:
            found = value(device)
            if found is not None:
                page.sample(labels(device=f"cuda:{device.number}", uuid=device.uuid), found)


def _requests(page: Exposition, versions: list[VersionMetrics]) -> None:
    page.family("augurium_requests_total", "counter", "Requests by outcome: ok or an error kind")
    for version in versions:
        for outcome, count in version.outcomes.items():
            page.sample(f"{_of(version)},{labels(outcome=outcome)}", count)
    page.family("augurium_batches_released_total", "counter", "Batches by why they were released")
    for version in versions:
        for reason, count in version.releases.items():
            page.sample(f"{_of(version)},{labels(reason=reason)}", count)
    for name, description, pairs, counts in NESTED_COUNTERS:
        page.family(name, "counter", description)
        for version in versions:
            for outer, found in counts(version).items():
                for inner, count in found.items():
                    said = labels(**{pairs[0]: outer, pairs[1]: inner})
                    page.sample(f"{_of(version)},{said}", count)
    page.family("augurium_runner_exits_total", "counter", "Ends of its runner by cause")
    for version in versions:
        for cause, count in version.runner_exits.items():
            page.sample(f"{_of(version)},{labels(cause=cause)}", count)
    page.family("nv_inference_request_failure", "counter", "Failed requests by Triton's reasons")
    for version in versions:
        for reason, count in _failures(version).items():
            page.sample(f"{_of(version)},{labels(reason=reason)}", count)


def _first_answers(page: Exposition, versions: list[VersionMetrics]) -> None:
    page.family(
        "nv_inference_first_response_histogram_ms",
        "histogram",
        "Time to the first answer of a streamed version, milliseconds",
    )
    for version in versions:
        if version.first_answer_s is not None:
            page.histogram(_of(version), version.first_answer_s, MILLISECONDS)


def _values(
    page: Exposition,
    kind: str,
    names: tuple[str, str],
    versions: list[VersionMetrics],
    value: Callable[[VersionMetrics], float],
) -> None:
    page.family(names[0], kind, names[1])
    for version in versions:
        page.sample(_of(version), value(version))


def _failures(version: VersionMetrics) -> dict[str, int]:
    failures = dict.fromkeys(("REJECTED", "CANCELED", "BACKEND", "OTHER"), 0)
    for outcome, count in version.outcomes.items():
        if outcome != "ok":
            failures[FAILURE_REASONS.get(outcome, "OTHER")] += count
    return failures


def _of(version: VersionMetrics) -> str:
    return labels(model=version.model, version=version.version)


def _us(histogram: Histogram) -> int:
    return round(histogram.total * MICROSECONDS)
