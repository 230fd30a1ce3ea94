"""The statistics extension: what all engines of the node counted, for each deployed version.

Source: Triton, "Statistics Extension". Durations are sums in nanoseconds; those of computing count
each request with the whole time of its run, those by batch size each run once.
"""

from collections.abc import Callable, Iterator
from typing import Any

from augurium.core.errors import NotFound
from augurium.core.identifiers import ModelRef
from augurium.protocols.oip import linked
from augurium.serving.metrics import AnswerSums, RunSums, VersionMetrics
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane

NANOSECONDS = 1_000_000_000
MILLISECONDS = 1000
ALL_MODELS = ModelRef("")

Duration = dict[str, int]


async def model_statistics(
    plane: DataPlane,
    control: NodeControl | None,
    model: ModelRef,
    sees: Callable[[str], bool],
    timeout_s: float | None = None,
) -> list[dict[str, Any]]:
    """An entry for each version of `model` that is deployed, or of `ALL_MODELS` that are seen.

    Raises NotFound for what is not deployed, and what `NodeControl` raises.
    """
    wanted = list(_versions(plane, model, sees))
    only = wanted[0][1] if model.version or model.alias else None
    counted = await linked(control).statistics(model.name or None, only, timeout_s)
    found = {(version.model, version.version): version for version in counted}
    return [_entry(found.get(key) or VersionMetrics(*key)) for key in wanted]


def _versions(
    plane: DataPlane, model: ModelRef, sees: Callable[[str], bool]
) -> Iterator[tuple[str, int]]:
    if model.alias:
        yield model.name, plane.version(model).desired.version
        return
    for name in [model.name] if model.name else filter(sees, plane.models()):
        routes = plane.routes(name)
        numbers = sorted({*routes.ready, *routes.unready})
        if model.version is not None and model.version not in numbers:
            raise NotFound(
                f"Request for unknown model: '{name}' version {model.version} is not found"
            )
        for number in numbers:
            if model.version in (None, number):
                yield name, number


def _entry(version: VersionMetrics) -> dict[str, Any]:
    ok = version.outcomes.get("ok", 0)
    failed = sum(version.outcomes.values()) - ok
    inferred, queue = version.inferred, version.queue_s
    return {
        "name": version.model,
        "version": str(version.version),
        "last_inference": round(version.last_inference_at * MILLISECONDS),
        "inference_count": version.rows,
        "execution_count": version.executions,
        "inference_stats": {
            "success": _duration(ok, version.request_s.total - version.failed_s),
            "fail": _duration(failed, version.failed_s),
            "queue": _duration(queue.count, queue.total),
            **_computing(inferred),
            "cache_hit": _duration(version.cache_hits, version.cache_hit_s),
            "cache_miss": _duration(version.cache_misses, version.cache_miss_s),
        },
        "response_stats": {
            str(index): _answers(version.answers[index]) for index in sorted(version.answers)
        },
        "batch_stats": [
            {"batch_size": rows, **_computing(version.by_size[rows])}
            for rows in sorted(version.by_size)
        ],
        # not measured for a version by itself
        "memory_usage": [],
    }


def _computing(sums: RunSums) -> dict[str, Duration]:
    return {
        "compute_input": _duration(sums.count, sums.input_s),
        "compute_infer": _duration(sums.count, sums.infer_s),
        "compute_output": _duration(sums.count, sums.output_s),
    }


def _answers(sums: AnswerSums) -> dict[str, Duration]:
    return {
        "compute_infer": _duration(sums.ok, sums.ok_s),
        "compute_output": _duration(sums.ok, 0),
        "success": _duration(sums.ok, sums.ok_s),
        "fail": _duration(sums.failed, sums.failed_s),
        "empty_response": _duration(0, 0),
        "cancel": _duration(sums.left, sums.left_s),
    }


def _duration(count: int, seconds: float) -> Duration:
    return {"count": count, "ns": max(0, round(seconds * NANOSECONDS))}
