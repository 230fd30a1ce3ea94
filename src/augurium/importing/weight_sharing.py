"""Whether the processes of a node share the weights of a large ONNX model: measured, not believed.

ONNX Runtime maps weights that lie in a file of their own, and all processes see the same memory,
unless it brings them into another order (prepacking), which answers batches faster and needs a copy
in each process. It accepts its options silently and repacks the weights of some operators in spite
of them, so the effect is looked for in the memory of a session.

Imports onnx, therefore used in child processes only.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from augurium.core.errors import AuguriumError
from augurium.core.tensors import Array
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.external_data import Weights, has_external_data, set_apart
from augurium.runtimes.runtime import LoadedModel, load

RUNTIME = "onnx"
LARGE_BYTES = 256 * 1024**2
# a session that holds more than this share of the weights by itself shares nothing worth it
OWN_SHARE = 0.5
# a second copy of more than this is not made to measure what it would cost
MOST_COPIED_BYTES = 2 * 1024**3
TIMED_BATCHES = (1, 64)
TIMED_RUNS = 3
MOST_TIMED_S = 10.0
MEGABYTE = 1e6


def with_shared_weights(conversion: Conversion, prepacking: str | None) -> Conversion:
    """Decides for the ONNX candidate whether its weights lie apart and are repacked.

    Large weights are set apart, and are not repacked if processes share them then. `prepacking` on
    or off is the word of the model's owner, which counts.
    """
    changed = [_decided(candidate, conversion, prepacking) for candidate in conversion.candidates]
    found = next((weights for _, weights in changed if weights), {})
    notes = tuple(found.pop("notes", ()))
    return msgspec.structs.replace(
        conversion,
        candidates=tuple(candidate for candidate, _ in changed),
        weights=found,
        notes=(*conversion.notes, *notes),
    )


def _decided(
    candidate: Candidate, conversion: Conversion, prepacking: str | None
) -> tuple[Candidate, dict[str, Any]]:
    if candidate.runtime != RUNTIME:
        return candidate, {}
    candidate = _apart(candidate)
    size_bytes = Path(candidate.weights).stat().st_size if candidate.weights else 0
    found: dict[str, Any] = {}
    if size_bytes >= LARGE_BYTES:
        found = _measured(candidate, size_bytes, conversion)
    chosen = prepacking or found.get("prepacking")
    if chosen is None:
        return candidate, {}
    found["prepacking"] = chosen
    if prepacking is not None:
        found["because"] = "it was asked for"
    options = candidate.options if chosen == "on" else {**candidate.options, "prepacking": "off"}
    return msgspec.structs.replace(candidate, options=options), found


def _apart(candidate: Candidate) -> Candidate:
    """The candidate with weights in a file of their own, if they are large."""
    file = Path(candidate.file)
    if candidate.weights is not None or file.stat().st_size < LARGE_BYTES:
        return candidate
    model = onnx.load_from_string(file.read_bytes())
    if has_external_data(model):
        return candidate
    weights: Weights = set_apart(model)
    file.write_bytes(model.SerializeToString())
    return msgspec.structs.replace(candidate, weights=weights.name)


def _measured(candidate: Candidate, size_bytes: int, conversion: Conversion) -> dict[str, Any]:
    """What a process needs for itself and how fast it is, without repacking and with."""
    try:
        own_bytes, shared = _session(candidate, "off", conversion)
        copied = None
        if size_bytes <= MOST_COPIED_BYTES:
            _, copied = _session(candidate, "on", conversion)
    except AuguriumError:
        # the trial run will say so with all it knows
        return {}
    shown = f"{own_bytes / MEGABYTE:.0f} MB of {size_bytes / MEGABYTE:.0f} MB"
    shares = own_bytes <= OWN_SHARE * size_bytes
    said = (
        f"processes share the weights; each needs for itself {shown}"
        if shares
        else f"each process needs its own copy of the weights: {shown}"
    )
    return {
        "prepacking": "off" if shares else "on",
        "because": said,
        "weights_bytes": size_bytes,
        "own_bytes": own_bytes,
        "latency_ms": {"off": shared, **({"on": copied} if copied else {})},
        "notes": (said,),
    }


def _session(
    candidate: Candidate, prepacking: str, conversion: Conversion
) -> tuple[int, dict[str, float]]:
    before = _anonymous_bytes()
    weights = Path(candidate.weights).absolute() if candidate.weights else None
    options = {**candidate.options, "prepacking": prepacking}
    model = load(RUNTIME, Path(candidate.file), options, weights)
    own_bytes = max(0, _anonymous_bytes() - before)
    return own_bytes, _latency_ms(model, conversion)


def _latency_ms(model: LoadedModel, conversion: Conversion) -> dict[str, float]:
    """The shortest time of a run by batch size; of one whole case without a batch dimension."""
    if not conversion.signature.batched:
        return {"1": _shortest_ms(model, {n: rows[0] for n, rows in conversion.inputs.items()})}
    found: dict[str, float] = {}
    for batch in TIMED_BATCHES:
        if batch * found.get("1", 0.0) > MOST_TIMED_S * 1000:
            break
        found[str(batch)] = _shortest_ms(
            model,
            {
                name: np.asarray(rows)[np.arange(batch) % len(rows)]
                for name, rows in conversion.inputs.items()
            },
        )
    return found


def _shortest_ms(model: LoadedModel, inputs: Mapping[str, Array]) -> float:
    shortest = math.inf
    started = time.perf_counter()
    for _ in range(TIMED_RUNS):
        before = time.perf_counter()
        model.run(inputs)
        shortest = min(shortest, time.perf_counter() - before)
        if time.perf_counter() - started > MOST_TIMED_S:
            break
    return round(shortest * 1000, 3)


def _anonymous_bytes() -> int:
    """Memory of this process that no file stands behind; 0 where the kernel does not tell."""
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.exists():
        return 0
    lines = (line.split() for line in rollup.read_text().splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "Anonymous:"), 0)
