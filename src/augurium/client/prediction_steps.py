"""What has to be sent for a prediction, in which order, whoever sends it and over whatever.

Nothing is sent here: steps are yielded, and the answers come back, so that threads and tasks share
all of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from augurium.client.call import Call, StreamCall
from augurium.client.instances import Instances
from augurium.client.prediction_call import CallOptions, check_one_named
from augurium.client.replies import Inference, Predictions, PredictionTable, StreamReply
from augurium.client.signatures import Signatures, Steps
from augurium.core.errors import InvalidArgument, NotFound
from augurium.core.signature import Signature
from augurium.core.tensors import Array


class Calls(Protocol):
    """How a transport says things; `needs_signature` where it can say features as tensors only."""

    needs_signature: bool

    def predict(
        self,
        name: str,
        instances: Instances,
        options: CallOptions,
        signature: Signature | None = None,
    ) -> Call[Predictions | PredictionTable]:
        """The call for a prediction."""

    def infer(
        self,
        name: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None,
        binary: bool,
        options: CallOptions,
    ) -> Call[Inference]:
        """The call for an inference."""

    def stream(
        self,
        name: str,
        inputs: Mapping[str, Any],
        options: CallOptions,
        signature: Signature | None = None,
    ) -> StreamCall[StreamReply]:
        """The call for a streamed prediction."""


class PredictionSteps:
    """The steps of one prediction; `steps` begins anew with every attempt."""

    def __init__(
        self,
        calls: Calls,
        signatures: Signatures,
        name: str,
        instances: Instances,
        options: CallOptions,
    ) -> None:
        check_one_named(name, options)
        self._calls = calls
        self._signatures = signatures
        self._name = name
        self._instances = instances
        self._options = options
        # the same for every attempt, where nothing has to be asked first
        self._call = None if calls.needs_signature else calls.predict(name, instances, options)

    def steps(self) -> Steps[Predictions | PredictionTable]:
        """The steps of one attempt."""
        if self._call is not None:
            reply: Predictions | PredictionTable = yield self._call
            return reply
        version = self._signatures.meant(self._name, self._options)
        try:
            return (yield from self._by_signature())
        except (InvalidArgument, NotFound):
            # refused, perhaps because the name means another version by now
            if version is None or self._options.get("version") is not None:
                raise
            self._signatures.correct(self._name, self._options, None)
            found, _ = yield from self._signatures.find(self._name, self._options)
            if found == version:
                raise
            return (yield from self._by_signature())

    def _by_signature(self) -> Steps[Predictions | PredictionTable]:
        version, signature = yield from self._signatures.find(self._name, self._options)
        reply = yield from self._asked(signature, self._options)
        if reply.version is None or reply.version == version:
            return reply
        # another version answered; tensors that mean something else to it must not count
        pinned: CallOptions = {**self._options, "version": reply.version, "alias": None}
        _, actual = yield from self._signatures.find(self._name, pinned)
        self._signatures.correct(self._name, self._options, reply.version)
        if actual.inputs == signature.inputs:
            return reply
        return (yield from self._asked(actual, pinned))

    def _asked(
        self, signature: Signature, options: CallOptions
    ) -> Steps[Predictions | PredictionTable]:
        reply: Predictions | PredictionTable = yield self._calls.predict(
            self._name, self._instances, options, signature
        )
        return reply


class StreamSteps:
    """The steps that open a streamed prediction; `steps` begins anew with every attempt."""

    def __init__(
        self,
        calls: Calls,
        signatures: Signatures,
        name: str,
        inputs: Mapping[str, Any],
        options: CallOptions,
    ) -> None:
        check_one_named(name, options)
        self._calls = calls
        self._signatures = signatures
        self._name = name
        self._inputs = inputs
        self._options = options

    def steps(self) -> Steps[Any]:
        """The steps of one attempt; they end with the stream."""
        signature = None
        if self._calls.needs_signature:
            _, signature = yield from self._signatures.find(self._name, self._options)
        return (yield self._calls.stream(self._name, self._inputs, self._options, signature))
