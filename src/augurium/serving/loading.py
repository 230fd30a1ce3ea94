"""From a file on disk to an executor that has run: checked, loaded, warmed up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from augurium.core.errors import ModelFailed
from augurium.core.home import NodeConfig
from augurium.registry.verified_files import VerifiedFiles
from augurium.runtimes.runtime import LoadedModel, load
from augurium.serving.executor import LocalExecutor, VersionExecutor
from augurium.serving.integrity import CheckedFile, Damaged, check_file, read_ahead
from augurium.serving.placement import in_engine
from augurium.serving.proven_versions import ProvenVersions
from augurium.serving.recorded_traffic import RecordedTraffic
from augurium.serving.replicated_runner import ReplicatedRunner
from augurium.serving.runner_executor import RunLimits, RunnerExecutor
from augurium.serving.runner_process import RunnerProcess
from augurium.serving.snapshot import DesiredVersion
from augurium.serving.warm_up import WarmUp

# of a version whose files change meanwhile
LOADS = 3
# from a digest to a file of it that is whole, None if there is none; blocking, on any thread
Mend = Callable[[str], Path | None]

log = structlog.get_logger()


class Loader:
    """Loads versions where they belong: in this process, or in a runner of this node."""

    def __init__(self, config: NodeConfig, mend: Mend | None = None, engine: str = "") -> None:
        """`mend` brings a damaged file back whole, if that can be done."""
        settings = config.settings
        remembers = settings.storage.verify == "changed"
        self._verified = VerifiedFiles(config.home.verified) if remembers else None
        self._mend = mend
        self.traffic = RecordedTraffic(settings.warm_up.traffic_bytes)
        self._warm_ups = WarmUp(settings.warm_up, self.traffic)
        self._proven = ProvenVersions(config.home.proven / engine)
        self._warm_up_s: dict[tuple[str, int], float] = {}
        self._run_folder = config.home.run
        self._settings = config.settings.runners
        self._run_timeout_s = config.settings.limits.request_timeout_s
        number = engine.rpartition("-")[2]
        self._home = int(number) if number.isdigit() else 0

    def sweep(self) -> None:
        """Removes what nobody needs any more of what earlier runs noted."""
        self._proven.sweep()

    def load(self, desired: DesiredVersion) -> VersionExecutor:
        """Loads and warms up one version. Blocking.

        Raises ModelFailed when a file is missing, is not what was registered, or cannot be loaded,
        and when the warm-up fails.
        """
        executor = self._in_engine(desired) if in_engine(desired) else self._in_runner(desired)
        try:
            self._warm_up(executor, desired)
        except BaseException:
            executor.close()
            raise
        if isinstance(executor, LocalExecutor):
            recorder = self.traffic.recorder(desired.model, desired.signature)
            if recorder is not None:
                executor.record(recorder)
        return executor

    def warm_up_s(self, model: str, version: int) -> float:
        """How long the latest warm-up of a version took, 0 if there was none."""
        return self._warm_up_s.get((model, version), 0.0)

    def _warm_up(self, executor: VersionExecutor, desired: DesiredVersion) -> None:
        """All of it, or one row where this version has been through it on this machine."""
        began = time.perf_counter()
        # another engine's word is as good where this one has no traffic of its own to try
        proven = self._proven.knows(desired) or (
            not self.traffic.count(desired.model) and self._proven.others_know(desired)
        )
        try:
            with interrupted_after(executor, 2 * self._warm_ups.timeout_s):
                if proven:
                    self._warm_ups.run_briefly(executor, desired)
                else:
                    self._warm_ups.run(executor, desired)
        finally:
            seconds = time.perf_counter() - began
            self._warm_up_s[desired.model, desired.version] = seconds
        if not proven:
            self._proven.add(desired)

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
        name = f"{desired.model}@{desired.version}"
        return ReplicatedRunner(name, partial(self._replica, desired), self._home)

    def _replica(self, desired: DesiredVersion, place: int, tried: bool) -> RunnerExecutor:
        """The runner of a version at one place. Blocking. Raises ModelFailed."""
        process = RunnerProcess(self._run_folder, desired, self._settings, place)
        streams = self._settings.max_streams if desired.signature.streamed else 0
        limits = RunLimits(self._run_timeout_s, self._settings.liveness_s, streams)
        executor = RunnerExecutor(process, desired.signature, limits)
        if tried:
            try:
                self._warm_ups.run_briefly(executor, desired)
            except BaseException:
                executor.close()
                raise
        return executor


def may_sleep(desired: DesiredVersion) -> bool:
    """Whether a version may be out of memory while it is served."""
    return desired.may_sleep


def files_bytes(desired: DesiredVersion) -> int:
    """What a version's files take; 0 for what is missing, which its load will say."""
    files = [Path(path) for path in (desired.path, desired.weights_path) if path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def interrupted_after(executor: VersionExecutor, seconds: float) -> Iterator[None]:
    """Ends what an executor of this process runs in the block when it takes longer than that; those
    of a runner have their own time.

    Raises ModelFailed then. No run may come after it.
    """
    if not isinstance(executor, LocalExecutor):
        yield
        return
    timer = threading.Timer(seconds, executor.interrupt)
    timer.daemon = True
    timer.start()
    failure = None
    try:
        yield
    except ModelFailed as error:
        failure = error
    finally:
        timer.cancel()
    if executor.interrupted:
        raise ModelFailed(
            f"warm-up did not come to an end within {seconds:g} s (twice warm_up.timeout_s)"
        ) from failure
    if failure is not None:
        raise failure
