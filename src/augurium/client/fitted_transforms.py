"""Fitted transforms on their way to a server: their JSON, or the object that writes it."""

from typing import Protocol

from augurium.client.sources import Source


class FittedTransforms(Protocol):
    """What `Preprocessing.fit` of `augurium.preprocessing` returns."""

    def to_json(self) -> bytes: ...


def transforms_source(given: Source | FittedTransforms | None) -> Source | None:
    """What to upload."""
    if given is None or isinstance(given, str | bytes) or not hasattr(given, "to_json"):
        return given
    return given.to_json()
