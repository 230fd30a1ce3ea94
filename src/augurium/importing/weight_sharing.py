"""Whether processes can share the weights of a large model: measured, not believed.

ONNX Runtime accepts its options silently and repacks the weights of some operators in spite of
them, so the effect is looked for in the memory of a session.
"""

from pathlib import Path

import msgspec

from augurium.core.errors import AuguriumError
from augurium.runtimes.runtime import load

LARGE_BYTES = 256 * 1024**2
# a session that holds more than this share of the weights by itself shares nothing worth it
OWN_SHARE = 0.5
MEGABYTE = 1e6


class Sharing(msgspec.Struct, frozen=True):
    """Options for the runtime, and what the owner of the model should know about them."""

    options: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def measured_sharing(model: Path, weights: Path, weights_bytes: int) -> Sharing:
    """Loads a model with mapped weights and looks at the memory that is its alone.

    Repacked weights answer large batches faster (by a third at 64 rows of matrix products), but
    each process then needs all of them for itself.
    """
    before = _anonymous_bytes()
    try:
        # kept until after the measurement
        session = load("onnx", model, {"prepacking": "off"}, weights)
    except AuguriumError:
        # the trial run will say so with all it knows
        return Sharing()
    own = max(0, _anonymous_bytes() - before)
    del session
    shown = f"{own / MEGABYTE:.0f} MB of {weights_bytes / MEGABYTE:.0f} MB"
    if own > OWN_SHARE * weights_bytes:
        return Sharing(notes=(f"each process needs its own copy of the weights: {shown}",))
    return Sharing(
        {"prepacking": "off"},
        (f"processes share the weights; each needs for itself {shown}",),
    )


def _anonymous_bytes() -> int:
    """Memory of this process that no file stands behind; 0 where the kernel does not tell."""
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.exists():
        return 0
    lines = (line.split() for line in rollup.read_text().splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "Anonymous:"), 0)
