"""A model's serving policy on the command line: what options change of it, and how it is shown."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import typer

NO_STEPS = "none"
MANY_THREADS = 2
STEP_FORMS = "model:NAME[@ALIAS], constant:FILE.json or stale:SECONDS"


class Isolation(StrEnum):
    """What may be said on the command line; `auto` takes back what was said."""

    shared = "shared"
    dedicated = "dedicated"
    auto = "auto"


def changed(policy: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The policy with what was given; None was not."""
    found = dict(policy)
    for section, values in changes.items():
        said = {key: value for key, value in values.items() if value is not None}
        if said:
            found[section] = {**found.get(section, {}), **said}
    if found.get("placement", {}).get("isolation") == Isolation.auto:
        found["placement"] = {**found["placement"], "isolation": None}
    if not found.get("fallback", {}).get("steps"):
        found.pop("fallback", None)
    return found


def fallback_steps(words: Sequence[str]) -> list[dict[str, Any]]:
    """The steps that are meant. Raises BadParameter."""
    if list(words) == [NO_STEPS]:
        return []
    return [_step(word) for word in words]


def replica_bounds(word: str | None) -> dict[str, int]:
    """The fewest and the most replicas that are meant. Raises BadParameter."""
    if word is None:
        return {}
    least, dash, most = word.partition("-")
    try:
        return {"least": int(least), "most": int(most if dash else least)}
    except ValueError:
        raise typer.BadParameter(
            f"'{word}' is no number of replicas; expected one such as 2, or 1-4"
        ) from None


def policy_of_file(file: Path) -> dict[str, Any]:
    """A whole policy. Raises BadParameter."""
    found = _json(file)
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{file} must hold a JSON object")
    return found


def _step(word: str) -> dict[str, Any]:
    kind, _, said = word.partition(":")
    if kind == "model" and said:
        return {"kind": kind, "model": said}
    if kind == "constant" and said:
        return {"kind": kind, "outputs": _json(Path(said))}
    if kind == "stale" and said:
        try:
            return {"kind": kind, "max_age_s": float(said)}
        except ValueError:
            raise typer.BadParameter(f"'{said}' is not a number of seconds") from None
    raise typer.BadParameter(f"'{word}' is no step of a fallback; expected {STEP_FORMS}")


def _json(file: Path) -> Any:
    try:
        return msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as JSON: {error}") from error


def shown(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The policy as lines for people."""
    cache = policy.get("cache", {})
    ttl_s, stale_s = cache.get("ttl_s", 0), cache.get("stale_if_error_s", 0)
    yield "prediction cache", f"answers are remembered for {ttl_s:g} s" if ttl_s else "off"
    if ttl_s and stale_s:
        yield "", f"and given for {stale_s:g} s more when the model cannot be asked"
    pinned = policy.get("residency", {}).get("pinned", False)
    yield "residency", "pinned: always in memory" if pinned else "by demand"
    yield "placement", _placement(policy.get("placement", {}))
    yield "device", _device(policy.get("device", {}))
    yield from _replicas(policy.get("replicas", {}))
    yield "objective", f"answers within {policy.get('slo', {}).get('latency_ms', 100):g} ms"
    yield from _overload(policy.get("overload", {}))
    yield "recorded", _log(policy.get("log", {}))
    yield from _fallback(policy.get("fallback", {}))


def _log(log: Mapping[str, Any]) -> str:
    sample, redacted = log.get("sample"), log.get("redact", ())
    share = "as the node says (prediction_log.sample)" if sample is None else f"{sample:.3%}"
    said = [f"{share} with inputs and outputs"]
    if log.get("exposures"):
        said.append("every request without")
    if redacted:
        said.append("everything redacted" if "*" in redacted else f"without {', '.join(redacted)}")
    return "; ".join(said)


def _replicas(replicas: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    least, most = replicas.get("least", 1), replicas.get("most", 1)
    if least == most:
        yield "replicas", f"{most}, where its engine is not ONNX"
        return
    yield "replicas", f"{least} to {most}, by the load, where its engine is not ONNX"
    cpu = replicas.get("target_cpu_utilization", 0.7)
    targets = {"target_cpu_utilization": cpu} | {
        name: value for name, value in replicas.items() if name.startswith("target_")
    }
    said = [f"{name.removeprefix('target_')} {value:g}" for name, value in targets.items() if value]
    yield "", f"targets: {', '.join(said) or 'none'}"
    for text in replicas.get("schedules", ()):
        yield "", f"schedule: {text}"
    if least == 0:
        yield "", f"none after {replicas.get('idle_s', 300):g} s without a request"


def _placement(placement: Mapping[str, Any]) -> str:
    isolation, threads = placement.get("isolation"), placement.get("threads", 0)
    said = f"{isolation} runner" if isolation else "as its framework is"
    if threads >= MANY_THREADS:
        said += f", {threads} threads in a run"
    return said + (f", on CPUs {placement['cpus']}" if placement.get("cpus") else "")


def _device(device: Mapping[str, Any]) -> str:
    name, most = device.get("name", "cpu"), device.get("memory_bytes", 0)
    how = device.get("compile", "off")
    said = [name, f"{most} bytes of it at most" if most else "", "" if how == "off" else how]
    return ", ".join(part for part in said if part)


def _overload(overload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    target_ms, most = overload.get("target_queue_delay_ms"), overload.get("max_concurrency", 0)
    if target_ms is None:
        yield "overload", "as the node says (batching.target_queue_delay_ms)"
    elif target_ms:
        yield "overload", f"requests are refused when they would wait for {target_ms:g} ms"
    else:
        yield "overload", "requests wait until their deadline"
    if overload.get("adaptive_concurrency"):
        yield "concurrency", "found by watching" + (f", at most {most}" if most else "")
    else:
        yield "concurrency", f"at most {most} in each engine" if most else "no limit of its own"


def _fallback(fallback: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    steps = fallback.get("steps", [])
    yield "fallback", _named(steps[0]) if steps else "none"
    for step in steps[1:]:
        yield "", f"then {_named(step)}"
    if not steps:
        return
    timeout_ms, share = fallback.get("timeout_ms", 0), fallback.get("exercise_fraction", 0)
    yield "", f"after {timeout_ms:g} ms" if timeout_ms else "after three quarters of the time"
    if share:
        yield "", f"tried on {share:.3%} of the requests"


def _named(step: Mapping[str, Any]) -> str:
    if step["kind"] == "model":
        return f"the model {step['model']}"
    if step["kind"] == "stale":
        return f"what is remembered, up to {step['max_age_s']:g} s old"
    return f"the constant {msgspec.json.encode(step['outputs']).decode()}"
