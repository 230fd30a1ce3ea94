"""From a file on disk to an executor that has run: checked, loaded, warmed up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import structlog

from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.registry.verified_files import VerifiedFiles
from augurium.runtimes.runtime import IN_ENGINE, LoadedModel, load
from augurium.serving.executor import LocalExecutor, StreamExecutor, VersionExecutor
from augurium.serving.integrity import CheckedFile, Damaged, check_file, read_ahead
from augurium.serving.runner_executor import RunnerExecutor
from augurium.serving.runner_process import RunnerProcess
from augurium.serving.snapshot import DesiredVersion

WARM_UP_ROWS = (1, 64)
WARM_UP_RUNS = 3
# of a version whose files change meanwhile
LOADS = 3
# from a digest to a file of it that is whole, None if there is none; blocking, on any thread
Mend = Callable[[str], Path | None]

log = structlog.get_logger()


class Loader:
    """Loads versions where they belong: in this process, or in a runner of this node."""

    def __init__(self, config: NodeConfig, mend: Mend | None = None) -> None:
        """`mend` brings a damaged file back whole, if that can be done."""
        settings = config.settings
        remembers = settings.storage.verify == "changed"
        self._verified = VerifiedFiles(config.home.verified) if remembers else None
        self._mend = mend
        self._run_folder = config.home.run
        self._settings = config.settings.runners
        self._run_timeout_s = config.settings.limits.request_timeout_s

    def load(self, desired: DesiredVersion) -> VersionExecutor:
        """Loads and warms up one version. Blocking.

        Raises ModelFailed when a file is missing, is not what was registered, or cannot be loaded.
        """
        executor = self._in_engine(desired) if in_engine(desired) else self._in_runner(desired)
        try:
            _warm_up(executor, desired)
        except BaseException:
            executor.close()
            raise
        return executor

    def _in_engine(self, desired: DesiredVersion) -> VersionExecutor:
        signature = desired.signature
        return LocalExecutor(
            self._model(desired),
            [spec.name for spec in signature.inputs],
            [spec.name for spec in signature.outputs],
        )

    def _model(self, desired: DesiredVersion) -> LoadedModel:
        """The model of files that were right from before they were checked until it had loaded."""
        for _ in range(LOADS):
            file = self._checked(desired.path, desired.digest)
            weights = None
            if desired.weights_path:
                weights = self._checked(desired.weights_path, desired.weights_digest or "")
                read_ahead(weights.path)
            files = [file, weights] if weights else [file]
            try:
                model = load(
                    desired.runtime, file.path, desired.options, weights.path if weights else None
                )
            except ModelFailed:
                if all(checked.unchanged for checked in files):
                    raise
                continue
            if all(checked.unchanged for checked in files):
                return model
        raise Damaged("the artifact changes while it is loaded; see what writes to it")

    def _checked(self, name: str, digest: str) -> CheckedFile:
        """The file, whose content is what was registered. Raises Damaged."""
        try:
            return check_file(Path(name), digest, self._verified)
        except Damaged as error:
            log.error("file damaged", digest=digest, reason=str(error))
            mended = self._mend(digest) if self._mend is not None else None
            if mended is None:
                raise
            return check_file(mended, digest, self._verified)

    def _in_runner(self, desired: DesiredVersion) -> VersionExecutor:
        process = RunnerProcess(self._run_folder, desired, self._settings)
        streams = self._settings.max_streams if desired.signature.streamed else 0
        return RunnerExecutor(process, desired.signature, self._run_timeout_s, streams)


def in_engine(desired: DesiredVersion) -> bool:
    """Whether a version may live in an engine process."""
    return desired.runtime in IN_ENGINE


def may_sleep(desired: DesiredVersion) -> bool:
    """Whether a version may be out of memory while it is served."""
    signature = desired.signature
    return in_engine(desired) and not signature.streamed and not signature.takes_parameters


def files_bytes(desired: DesiredVersion) -> int:
    """What a version's files take; 0 for what is missing, which its load will say."""
    files = [Path(path) for path in (desired.path, desired.weights_path) if path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _warm_up(executor: VersionExecutor, desired: DesiredVersion) -> None:
    """Runs the batch sizes in use, so that the first caller pays for nothing and run times are
    known.
    """
    signature = desired.signature
    for rows in WARM_UP_ROWS if signature.batched else (1,):
        inputs = [_sample(spec, rows, signature) for spec in signature.inputs]
        try:
            if signature.streamed and isinstance(executor, StreamExecutor):
                _begin_stream(executor, inputs)
                continue
            for _ in range(WARM_UP_RUNS):
                executor.run(inputs)
        except ModelFailed as error:
            # made-up rows may be ones that the model rightly refuses, such as unknown categories
            log.info(
                "warm-up refused", model=desired.model, version=desired.version, reason=str(error)
            )
            return


def _begin_stream(executor: StreamExecutor, inputs: Sequence[Array]) -> None:
    """Waits for the first answer; there may be no last one."""
    stream = executor.open_stream(inputs, {})
    try:
        stream.take()
    finally:
        stream.stop()
        stream.finish()


def _sample(spec: TensorSpec, rows: int, signature: Signature) -> Array:
    shape = tuple(1 if extent == -1 else extent for extent in spec.shape)
    if signature.batched:
        shape = (rows, *shape[1:])
    if spec.datatype == "BYTES":
        return np.full(shape, spec.missing_value or "", dtype=np.object_)
    return np.zeros(shape, spec.dtype)
