"""What a request says beside its tensors, on its way to a model that wants to be told."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array

# what fits the wire to a runner
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1

_encoder = msgspec.msgpack.Encoder()


@runtime_checkable
class ParameterizedExecutor(Protocol):
    """Runs one batch with parameters. Blocking. Raises ModelFailed."""

    def run_with(self, inputs: Sequence[Array], parameters: Mapping[str, Any]) -> list[Array]: ...


class ParameterizedRun:
    """What requests have in common that may share a run: the shapes of their rows, and what they
    say beside them, of which `content` is the one encoding. It is the `key` of their entries in a
    batcher, and makes the run.
    """

    __slots__ = ("_executor", "content", "parameters", "shapes")

    def __init__(
        self, executor: ParameterizedExecutor, shapes: object, parameters: Mapping[str, Any]
    ) -> None:
        self._executor = executor
        self.shapes = shapes
        self.parameters = parameters
        # 1, 1.0 and true are equal, and are not the same to a model
        self.content = _encoder.encode(sorted(parameters.items(), key=lambda item: item[0]))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ParameterizedRun)
            and self.content == other.content
            and self.shapes == other.shapes
        )

    def __hash__(self) -> int:
        return hash(self.content)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One model run for rows of requests with this key. Blocking. Raises ModelFailed."""
        return self._executor.run_with(inputs, self.parameters)

    def alone(self) -> "ParameterizedRun":
        """The same for a request that shares its run with no other."""
        return ParameterizedRun(self._executor, object(), self.parameters)


def alone(key: object) -> object:
    """The key of a request that shares its run with no other."""
    return key.alone() if isinstance(key, ParameterizedRun) else object()


def plain_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they can be told to a model: texts, numbers, booleans, and lists of them.

    Raises InvalidArgument for others.
    """
    for name, value in parameters.items():
        for one in value if isinstance(value, list) else (value,):
            _check(name, one)
    return dict(parameters)


def _check(name: str, value: object) -> None:
    if not isinstance(value, bool | int | float | str):
        raise InvalidArgument(
            f"parameter '{name[:64]}' must be a string, a number or a boolean, or a list of them"
        )
    if isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise InvalidArgument(f"parameter '{name[:64]}' does not fit into 64 bits")
