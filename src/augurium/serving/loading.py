"""From a file on disk to an executor that has run: checked, loaded, warmed up."""

from pathlib import Path

import numpy as np
import structlog

from augurium.core.errors import ModelFailed
from augurium.core.files import sha256_of_file
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.runtimes.runtime import load
from augurium.serving.executor import LocalExecutor
from augurium.serving.snapshot import DesiredVersion

WARM_UP_ROWS = (1, 64)
WARM_UP_RUNS = 3

log = structlog.get_logger()


def load_version(desired: DesiredVersion) -> LocalExecutor:
    """Loads and warms up one version. Blocking.

    Raises ModelFailed when the file is missing, is not what was registered, or cannot be loaded.
    """
    path = Path(desired.path)
    try:
        found = sha256_of_file(path)
    except OSError as error:
        raise ModelFailed(f"the artifact cannot be read: {error.strerror}") from error
    if found != desired.digest:
        raise ModelFailed(
            f"the artifact is damaged: its SHA-256 begins with {found[:12]}, registered was"
            f" {desired.digest[:12]}; register the model again"
        )
    signature = desired.signature
    executor = LocalExecutor(
        load(desired.runtime, path, desired.options),
        [spec.name for spec in signature.inputs],
        [spec.name for spec in signature.outputs],
    )
    _warm_up(executor, desired)
    return executor


def _warm_up(executor: LocalExecutor, desired: DesiredVersion) -> None:
    """Runs the batch sizes in use, so that the first caller pays for nothing and run times are
    known.
    """
    signature = desired.signature
    for rows in WARM_UP_ROWS if signature.batched else (1,):
        inputs = [_sample(spec, rows, signature) for spec in signature.inputs]
        try:
            for _ in range(WARM_UP_RUNS):
                executor.run(inputs)
        except ModelFailed as error:
            # made-up rows may be ones that the model rightly refuses, such as unknown categories
            log.info(
                "warm-up refused", model=desired.model, version=desired.version, reason=str(error)
            )
            return


def _sample(spec: TensorSpec, rows: int, signature: Signature) -> Array:
    shape = tuple(1 if extent == -1 else extent for extent in spec.shape)
    if signature.batched:
        shape = (rows, *shape[1:])
    if spec.datatype == "BYTES":
        return np.full(shape, spec.missing_value or "", dtype=np.object_)
    return np.zeros(shape, spec.dtype)
