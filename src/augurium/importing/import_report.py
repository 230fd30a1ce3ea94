"""The report of an import, as it is kept with the version, and the error where there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from augurium.core.errors import AuguriumError, DeadlineExceeded, InsufficientStorage, Unprocessable
from augurium.importing.job import Converted, Verified
from augurium.importing.trial import Choice, Trial


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known at the end of an import that went well."""

    format: str
    converted: Converted
    trials: Sequence[Trial]
    choice: Choice
    steps: list[dict[str, str]]
    source_bytes: int
    durations_s: dict[str, float]


def import_report(imported: Imported) -> dict[str, Any]:
    """The report: what was chosen and why, every engine that was tried, and measurements."""
    converted, chosen = imported.converted, imported.choice.trial
    verified = chosen.verified
    if verified is None:
        raise ValueError("an engine that did not pass was chosen")
    return {
        "format": str(imported.format),
        "engine": chosen.engine,
        "chosen": chosen.engine,
        "chosen_because": imported.choice.because,
        **_optimization(chosen),
        **_weights(imported),
        "engines": {trial.engine: _engine(trial) for trial in imported.trials},
        "tried": imported.steps,
        "parity": {
            **_parity(verified),
            "batches": list(verified.batches),
            "row_independent": verified.row_independent,
            "outputs": msgspec.to_builtins(verified.outputs),
        },
        "versions": {**converted.versions, **verified.versions},
        "sizes": {
            "source_bytes": imported.source_bytes,
            "servable_bytes": Path(chosen.file).stat().st_size,
            "memory_bytes": verified.memory_bytes,
        },
        "latency_ms": verified.latency_ms,
        "load_ms": verified.load_ms,
        "durations_s": imported.durations_s,
        "network_cut": converted.network_cut,
        "file_system_confined": converted.file_system_confined,
        "notes": list(converted.notes),
    }


def no_engine(trials: Sequence[Trial]) -> AuguriumError:
    """The error of an import that no engine passed: why, for each of them."""
    outcomes = {trial.outcome for trial in trials}
    said = "; ".join(f"{trial.engine}: {trial.outcome}" for trial in trials)
    if outcomes == {"timed out"}:
        return DeadlineExceeded(
            f"no engine was ready in time ({said}); raise importing.timeout_s or register a "
            "smaller model"
        )
    if outcomes == {"out of memory"}:
        return InsufficientStorage(
            f"no engine had memory enough ({said}); raise importing.memory_bytes or register a "
            "smaller model"
        )
    if outcomes == {"out of disk"}:
        return InsufficientStorage(
            f"every engine wrote more files than such a model needs ({said}); register a smaller "
            "model"
        )
    return Unprocessable(f"no engine can serve this model: {said}")


def _optimization(trial: Trial) -> dict[str, str]:
    # a level of ONNX Runtime
    if trial.engine != "onnx":
        return {}
    return {"optimization": trial.options.get("optimization", "all")}


def _weights(imported: Imported) -> dict[str, Any]:
    # of the weights of an ONNX model, which do not matter to another engine
    found = imported.converted.weights
    return {"weights": found} if found and imported.choice.trial.engine == "onnx" else {}


def _engine(trial: Trial) -> dict[str, Any]:
    if trial.verified is None:
        return {"outcome": trial.outcome}
    return {
        "outcome": trial.outcome,
        "parity": _parity(trial.verified),
        "latency_ms": trial.verified.latency_ms,
        "load_ms": trial.verified.load_ms,
        "memory_bytes": trial.verified.memory_bytes,
        "process_bytes": trial.verified.process_bytes,
    }


def _parity(verified: Verified) -> dict[str, Any]:
    outputs = verified.outputs
    return {
        "rows": verified.rows,
        "max_abs_error": max((o.max_abs_error for o in outputs.values()), default=0.0),
        "max_rel_error": max((o.max_rel_error for o in outputs.values()), default=0.0),
        "label_differences": outputs["label"].different if "label" in outputs else 0,
    }
