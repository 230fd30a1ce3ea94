"""What the supervisor and control tell each other, on a Unix socket of the node.

The supervisor connects, says how its engines stand and what it decided, and ends; control answers
how the node stands, and ends. Each is one JSON object. The supervisor needs neither a key nor a
certificate for it.
"""

from typing import Literal

import msgspec

from augurium.scaling.decision import Decision
from augurium.scaling.scaler import LoggedDecision

MOST_BYTES = 4 * 1024 * 1024
# `serving` since it first held everything that was wanted; `draining` is on its way out
EngineState = Literal["starting", "serving", "draining"]


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """How the number of engines is decided: the newest decision, how many there were of each
    direction, and of the log what control has not got yet.
    """

    latest: Decision | None = None
    counts: dict[str, int] = {}
    log: tuple[LoggedDecision, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """The engines by slot, and their scaling, if they are scaled at all."""

    engines: dict[str, EngineState]
    scaling: Scaling | None = None


class EngineReading(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of one connected engine since it started, as they were `age_s` ago."""

    slot: str
    pid: int
    ready: bool
    age_s: float
    requests: int
    queued: int
    queue_s: float
    cpu_s: float
    in_flight: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the node waits for, its engines, and the number of the newest decision control has."""

    waiting_for: list[str]
    engines: tuple[EngineReading, ...] = ()
    decisions_known: int = 0
