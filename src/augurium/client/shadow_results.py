"""What the server says of shadow traffic, typed. Unknown fields of a newer server are left
aside.
"""

from datetime import datetime

import msgspec


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """When two answers are the same."""

    absolute: float = 1e-6
    relative: float = 1e-4
    ranking: bool = False
    top_k: int = 10


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is given copies of requests."""

    version: int
    percent: float
    by: str = "request"
    baseline: str = "any"
    compare: Comparison = Comparison()
    most_in_flight: int = 8
    timeout_ms: float = 10_000.0
    most_bytes: int = 256 * 1024
    examples: int = 20


class Share(msgspec.Struct, frozen=True):
    """A share, between the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Latency(msgspec.Struct, frozen=True):
    """How long answers took, in milliseconds."""

    p50_ms: float
    p99_ms: float


class ShadowExample(msgspec.Struct, frozen=True, kw_only=True):
    """A row that differs: when, by how much and in which output; its input and both answers as
    JSON.
    """

    difference: float
    at: float
    output: str
    input: str
    baseline: str
    shadow: str
    request_id: str = ""


class ShadowOutput(msgspec.Struct, frozen=True, kw_only=True):
    """One output: rows that were compared, how many differ, and how."""

    name: str
    rows: int
    differing: int
    unlike: dict[str, int] = {}
    values: int = 0
    mean_difference: float | None = None
    p99_difference: float | None = None
    largest_difference: float | None = None
    largest_relative: float | None = None
    not_finite: int = 0
    labels: dict[str, dict[str, int]] = {}
    other_labels: int = 0
    kendall_tau: float | None = None
    overlap: float | None = None


class ShadowPair(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow beside the version whose answers callers were given."""

    version: int
    baseline: int
    compare: Comparison = Comparison()
    copied: int
    answered: int
    failed: dict[str, int] = {}
    rescued: dict[str, int] = {}
    both_failed: int = 0
    dropped: dict[str, int] = {}
    rows: int = 0
    agreeing: int = 0
    agreement: Share | None = None
    outputs: tuple[ShadowOutput, ...] = ()
    baseline_latency: Latency | None = None
    shadow_latency: Latency | None = None
    examples: tuple[ShadowExample, ...] = ()
    since: datetime
    until: datetime


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """The shadows that a model has now, and what it and earlier ones have shown, the latest
    first.
    """

    model: str
    shadows: tuple[Shadow, ...] = ()
    pairs: tuple[ShadowPair, ...] = ()
