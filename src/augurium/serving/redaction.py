"""Redaction: values that are not logged, by the names of tensors and features."""

from collections.abc import Mapping, Sequence
from typing import Any

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec

EVERYTHING = "*"
REDACTED = "[redacted]"


class Redaction:
    """Takes values out; what cannot be told from a value that is hidden goes with it."""

    def __init__(self, names: Sequence[str], signature: Signature) -> None:
        self.everything = EVERYTHING in names
        self.names = frozenset(names)
        self._names = _with_features(self.names, signature)
        self._specs = {spec.name: spec for spec in signature.inputs}
        self._expected = signature.expected_names
        outputs = {spec.name for spec in signature.outputs}
        # an output of the name of an input is meant as well
        self._inputs = bool(self._names - outputs) or bool(self._names & self._specs.keys())

    def hides(self, name: str) -> bool:
        """Whether all of a tensor goes."""
        return self.everything or name in self._names

    def tensor(self, name: str, rows: Any) -> Any:
        """The values of an input as nested lists, without those of redacted features."""
        if self.hides(name):
            return REDACTED
        spec = self._specs.get(name)
        hidden = self._hidden_places(spec)
        if not hidden:
            return rows
        if spec is not None and _is_matrix(rows, len(spec.features)):
            return [_masked(row, hidden) for row in rows]
        return REDACTED

    def instance(self, row: Any) -> Any:
        """A row of the v1 form."""
        if self.everything:
            return REDACTED
        if not self._inputs:
            return row
        if isinstance(row, Mapping):
            return {name: self._member(name, value) for name, value in row.items()}
        hidden = [place for place, name in enumerate(self._expected) if name in self._names]
        if isinstance(row, list) and len(row) == len(self._expected):
            return _masked(row, hidden)
        return REDACTED

    def _member(self, name: str, value: Any) -> Any:
        if self.hides(name):
            return REDACTED
        spec = self._specs.get(name)
        hidden = self._hidden_places(spec)
        if not hidden:
            return value
        if spec is not None and isinstance(value, list) and len(value) == len(spec.features):
            return _masked(value, hidden)
        return REDACTED

    def _hidden_places(self, spec: TensorSpec | None) -> list[int]:
        features = spec.features if spec is not None else ()
        return [place for place, name in enumerate(features) if name in self._names]


def _with_features(names: frozenset[str], signature: Signature) -> frozenset[str]:
    """A matrix that is redacted takes its features with it, however they are sent."""
    features = (spec.features for spec in signature.inputs if spec.name in names)
    return names.union(*features)


def _is_matrix(rows: Any, columns: int) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == columns for row in rows
    )


def _masked(row: list[Any], hidden: Sequence[int]) -> list[Any]:
    return [REDACTED if place in hidden else value for place, value in enumerate(row)]
