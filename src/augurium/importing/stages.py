"""The child processes of one import: one after the other, each in a folder of its own."""

import signal
import sys
import time
from pathlib import Path

import msgspec

from augurium.core.errors import (
    AuguriumError,
    DeadlineExceeded,
    ErrorKind,
    InsufficientStorage,
    InvalidArgument,
    Unprocessable,
)
from augurium.core.settings import ImportSettings
from augurium.importing import job
from augurium.importing.left_files import open_left
from augurium.importing.sandbox import Budget, End, Ending, run_child

MAX_REPORT_BYTES = 64 * 1024 * 1024
LOG_CHARACTERS = 300
CHILD = (sys.executable, "-s", "-P", "-m", "augurium.importing.child")
ERRORS: dict[ErrorKind, type[AuguriumError]] = {
    ErrorKind.INVALID_ARGUMENT: InvalidArgument,
    ErrorKind.INSUFFICIENT_STORAGE: InsufficientStorage,
}


class Broken(msgspec.Struct, frozen=True):
    """A child that left no report: the outcome in few words, and the error if that ends it all."""

    outcome: str
    error: AuguriumError


class Stages:
    """Runs the children of an import within its limits."""

    def __init__(self, folder: Path, limits: ImportSettings) -> None:
        self._folder = folder
        self._limits = limits
        self._deadline = time.monotonic() + limits.timeout_s
        self.durations_s: dict[str, float] = {}

    @property
    def remaining_s(self) -> float:
        """What is left of the import's time."""
        return max(0.0, self._deadline - time.monotonic())

    def run(
        self, stage: str, name: str, order: job.Job, seconds: float | None = None
    ) -> job.Report | Broken:
        """Runs one child in the folder `name`, for so many seconds or for all that is left.

        Time is booked under `stage`. What the child reports is not yet believed. Blocking.
        """
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        (folder / job.JOB_FILE).write_bytes(msgspec.json.encode(order))
        seconds = self.remaining_s if seconds is None else min(seconds, self.remaining_s)
        budget = Budget(
            time.monotonic() + seconds, self._limits.memory_bytes, order.confinement.file_bytes
        )
        ending = run_child(CHILD, folder, budget)
        booked = self.durations_s.get(stage, 0.0) + ending.duration_s
        self.durations_s[stage] = round(booked, 2)
        return self._broken(ending) or _read_report(folder / job.REPORT_FILE, ending)

    def _broken(self, ending: Ending) -> Broken | None:
        if ending.end is End.TIMED_OUT:
            message = (
                f"the import did not end within {self._limits.timeout_s:g} s, of which making the "
                "model servable may take half, and was stopped; raise importing.timeout_s or "
                "register a smaller model"
            )
            return Broken("timed out", DeadlineExceeded(message))
        if ending.end is End.OUT_OF_MEMORY:
            message = (
                f"the import used more than {self._limits.memory_bytes} bytes of memory and was "
                "stopped; raise importing.memory_bytes or register a smaller model"
            )
            return Broken("out of memory", InsufficientStorage(message))
        if ending.end is End.OUT_OF_DISK:
            message = (
                "the import wrote more files than such a model needs and was stopped; register a "
                "smaller model"
            )
            return Broken("out of disk", InsufficientStorage(message))
        if ending.signal == signal.SIGKILL.name:
            message = (
                "the import was killed by the operating system, most likely because memory ran "
                "out; lower importing.memory_bytes or register a smaller model"
            )
            return Broken("out of memory", InsufficientStorage(message))
        if ending.end is End.SIGNALLED:
            message = (
                f"the import process crashed ({ending.signal}) on this model; save it again with a "
                "current version of its framework, or export it to ONNX"
            )
            return Broken(f"crashed ({ending.signal})", Unprocessable(message))
        return None


def refusal(report: job.Refused) -> AuguriumError:
    """The error that a child's refusal stands for."""
    return ERRORS.get(report.kind, Unprocessable)(report.message)


def _read_report(file: Path, ending: Ending) -> job.Report | Broken:
    try:
        with open_left(file) as stream:
            report: job.Report = msgspec.json.decode(stream.read(MAX_REPORT_BYTES), type=job.Report)
            return report
    except FileNotFoundError:
        what = "ended without a report"
    except (OSError, msgspec.MsgspecError) as error:
        what = f"left a report that cannot be read ({error})"
    said = f"; it said: {ending.log_tail[-LOG_CHARACTERS:]}" if ending.log_tail else ""
    return Broken(what, Unprocessable(f"the import process {what}{said}"))
