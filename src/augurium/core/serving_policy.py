"""How a model is served, beyond which versions: what may be decided per model, at any time."""

from typing import Annotated

from msgspec import Meta, Struct

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


class ServingPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model's owner may decide about serving it."""

    cache: CachePolicy = CachePolicy()
    residency: ResidencyPolicy = ResidencyPolicy()
