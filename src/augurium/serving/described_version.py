"""A version as its description says it: what requests for it look like, and their answers."""

from collections.abc import Sequence

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Answer, InferenceRequest, InferenceResponse, Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.tensors import TensorSpec
from augurium.runtimes.runtime import TAKE_BYTES
from augurium.serving.bulk import BulkRequest
from augurium.serving.metrics import VersionMetrics
from augurium.serving.prediction_log import VersionLog
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.validation import InputValidator, Prepared


class DescribedVersion:
    """Reads requests and writes answers by the signature; whether the model is there or not."""

    def __init__(self, desired: DesiredVersion, metrics: VersionMetrics) -> None:
        self.desired = desired
        self.signature = desired.signature
        self.metrics = metrics
        takes_bytes = desired.runtime in TAKE_BYTES
        self._validator = InputValidator(desired.model, self.signature, takes_bytes)
        self._output_indices = {spec.name: i for i, spec in enumerate(self.signature.outputs)}
        self._all_indices = range(len(self.signature.outputs))
        # requests the data plane works on
        self.in_flight = 0
        # None where nothing of its requests is recorded
        self.log: VersionLog | None = None

    @property
    def max_batch_size(self) -> int:
        """The rows of a request, at most."""
        return self.desired.batching.max_batch_size

    def check_rows(self) -> None:
        """Raises InvalidArgument for a version that does not take rows by the thousand."""
        signature, model = self.signature, self.desired.model
        if signature.batched and not signature.streamed:
            return
        takes = "one request at a time" if signature.batched else "whole tensors"
        raise InvalidArgument(
            f"model '{model}' takes {takes}, not rows; use /v2/models/{model}/"
            + ("generate_stream" if signature.streamed else "infer")
        )

    def prepare(self, request: InferenceRequest) -> Prepared:
        """The tensors of a request as the model takes them. Raises InvalidArgument."""
        for name in request.outputs:
            if name not in self._output_indices:
                raise InvalidArgument(
                    f"unexpected inference output '{name}' for model '{self.desired.model}'"
                )
        inputs = request.inputs
        if isinstance(inputs, Instances):
            inputs = tensors_from_instances(inputs, self.signature)
        return self._validator.prepare(inputs)

    def response(
        self, request: InferenceRequest | BulkRequest, answer: Answer
    ) -> InferenceResponse:
        """The answer with the outputs the request asked for."""
        specs: Sequence[TensorSpec] = self.signature.outputs
        indices: Sequence[int] = self._all_indices
        if request.outputs:
            indices = [self._output_indices[name] for name in request.outputs]
            specs = [specs[index] for index in indices]
        desired, batched = self.desired, self.signature.batched
        return InferenceResponse(
            desired.model, desired.version, request.id, specs, indices, answer, batched
        )
