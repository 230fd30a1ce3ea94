"""Signatures of versions, remembered: gRPC carries tensors only, so features need one.

A version never changes, so its signature is remembered for good. Which version a name or an alias
means does change; an answer says which one gave it, and what was remembered is corrected by it.
"""

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

from augurium.client import results
from augurium.client.call import Call, StreamCall
from augurium.client.prediction_call import CallOptions
from augurium.core.errors import NotFound
from augurium.core.signature import Signature

Result = TypeVar("Result")


class Look(NamedTuple):
    """Something to ask the management API for, and what its answer is."""

    segments: tuple[object, ...]
    result: type[Any]


# what has to be sent, one after another: whoever drives them gives each answer, or throws its error
Steps = Generator[Look | Call[Any] | StreamCall[Any], Any, Result]


class Signatures:
    """What is known of versions. Safe to share between threads."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str | None], int] = {}
        self._signatures: dict[tuple[str, int], Signature] = {}

    def meant(self, name: str, options: CallOptions) -> int | None:
        """The version that a call means, as far as that is known."""
        version = options.get("version")
        return self._versions.get((name, options.get("alias"))) if version is None else version

    def correct(self, name: str, options: CallOptions, version: int | None) -> None:
        """Remembers which version a call means; None forgets it."""
        place = (name, options.get("alias"))
        if version is None:
            self._versions.pop(place, None)
        elif options.get("version") is None:
            self._versions[place] = version

    def find(self, name: str, options: CallOptions) -> Steps[tuple[int, Signature]]:
        """The version that a call means, and its signature. Raises NotFound when it means none."""
        version = self.meant(name, options)
        if version is None:
            model = yield Look(("models", name), results.Model)
            version = _pointed(model, options)
            self.correct(name, options, version)
        signature = self._signatures.get((name, version))
        if signature is None:
            look = Look(("models", name, "versions", version), results.Version)
            signature = (yield look).signature
            self._signatures[name, version] = signature
        return version, signature


def _pointed(model: results.Model, options: CallOptions) -> int:
    alias = options.get("alias")
    version = model.default_version if alias is None else model.aliases.get(alias)
    if version is not None:
        return version
    if alias is None:
        raise NotFound(
            f"model '{model.name}' has no default version; name one, or deploy one as the default"
        )
    known = ", ".join(sorted(model.aliases)) or "none"
    raise NotFound(f"model '{model.name}' has no alias '{alias}'; it has {known}")
