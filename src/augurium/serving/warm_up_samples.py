"""What a version is warmed up with: made-up rows, example rows, rows of recent requests."""

from collections.abc import Sequence

import msgspec
import numpy as np
import structlog

from augurium.core.errors import AuguriumError
from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.runtimes.runtime import TAKE_BYTES
from augurium.serving.recorded_traffic import RecordedTraffic, inputs_for
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.validation import InputValidator

MADE_UP = "made-up rows"
EXAMPLES = "the example rows"
RECORDED = "recent requests"
MOST_ROWS = 8

log = structlog.get_logger()


class Sample(msgspec.Struct, frozen=True):
    """Inputs in the signature's order: of one row, or of one request where rows are no batch.

    `sound` says that they had a sound answer before.
    """

    inputs: Sequence[Array]
    sound: bool = False


class Samples(msgspec.Struct, frozen=True):
    """Some of one `kind`; `real` ones have been answered before, by this model or an older one."""

    kind: str
    rows: Sequence[Sample]
    real: bool


def made_up(signature: Signature) -> Samples:
    """Zeros and empty texts."""
    return Samples(MADE_UP, [Sample([_zeros(spec, signature) for spec in signature.inputs])], False)


def real_samples(desired: DesiredVersion, traffic: RecordedTraffic) -> list[Samples]:
    """The kinds of which there are some."""
    signature = desired.signature
    recorded = [
        Sample(inputs_for(row, signature), row.sound)
        for row in traffic.rows(desired.model, signature)[:MOST_ROWS]
    ]
    found = [Samples(EXAMPLES, _examples(desired), True), Samples(RECORDED, recorded, True)]
    return [samples for samples in found if samples.rows]


def batch_of(samples: Samples, rows: int) -> list[Array]:
    """So many rows together: those that look like the first, again and again."""
    first = samples.rows[0].inputs
    shapes = [array.shape for array in first]
    alike = [
        sample.inputs
        for sample in samples.rows
        if [array.shape for array in sample.inputs] == shapes
    ]
    chosen = [alike[place % len(alike)] for place in range(rows)]
    return [np.concatenate(column) for column in zip(*chosen, strict=True)]


def _examples(desired: DesiredVersion) -> list[Sample]:
    """Example rows as a request with them would bring them to the model."""
    signature = desired.signature
    validator = InputValidator(desired.model, signature, desired.runtime in TAKE_BYTES)
    found = []
    for row in desired.examples[:MOST_ROWS]:
        try:
            tensors = tensors_from_instances(Instances([row]), signature)
            found.append(Sample(validator.prepare(tensors).inputs))
        except AuguriumError as error:
            # nobody can ask for it, so it proves nothing
            log.info("example row left out", model=desired.model, reason=str(error))
    return found


def _zeros(spec: TensorSpec, signature: Signature) -> Array:
    shape = tuple(1 if extent == -1 else extent for extent in spec.shape)
    if signature.batched:
        shape = (1, *shape[1:])
    if spec.datatype == "BYTES":
        return np.full(shape, spec.missing_value or "", dtype=np.object_)
    return np.zeros(shape, spec.dtype)
