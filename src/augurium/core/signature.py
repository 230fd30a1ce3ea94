"""A version's signature: its inputs and outputs, in order."""

import functools

import msgspec

from augurium.core.tensors import TensorSpec


class Signature(msgspec.Struct, frozen=True, dict=True):
    """The inputs and outputs of a version. `batched` says whether the first dimension of every
    tensor counts rows, `streamed` that a request may get several answers, or none, and
    `takes_parameters` that the model is told what a request says beside its tensors.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool = True
    streamed: bool = False
    takes_parameters: bool = False

    @functools.cached_property
    def input_by_name(self) -> dict[str, TensorSpec]:
        return {spec.name: spec for spec in self.inputs}

    @functools.cached_property
    def expected_names(self) -> tuple[str, ...]:
        """What a row names: the features of a matrix, other inputs themselves."""
        return tuple(name for spec in self.inputs for name in (spec.features or (spec.name,)))

    @functools.cached_property
    def known_names(self) -> frozenset[str]:
        """What a column may be called: an input, or a feature of one."""
        return frozenset(name for spec in self.inputs for name in (spec.name, *spec.features))

    @functools.cached_property
    def optional_features(self) -> tuple[str, ...]:
        """What an object of named features may leave out."""
        optional = (spec for spec in self.inputs if spec.optional)
        return tuple(name for spec in optional for name in (spec.features or (spec.name,)))
