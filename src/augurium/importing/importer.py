"""One import: detect the format, convert in a child, verify in a second, fresh one.

No framework is loaded in the calling process, and what a child claims is believed only where the
second child has seen it.
"""

import importlib.util
import math
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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
from augurium.importing.formats import FRAMEWORKS, Format, check_framework, detect
from augurium.importing.result import ImportRequest, ImportResult
from augurium.importing.sandbox import Budget, End, Ending, run_child

Progress = Callable[[str, float], None]

RUNTIME = "onnx"
CHILD = (sys.executable, "-s", "-P", "-m", "augurium.importing.child")
MAX_REPORT_BYTES = 64 * 1024 * 1024
FILE_ALLOWANCE_BYTES = 1024**3
FILE_FACTOR = 8
LOG_CHARACTERS = 300
# a sound model may end the process when its session is created at full optimisation
OPTIMIZATIONS: tuple[dict[str, str], ...] = (
    {},
    {"optimization": "extended"},
    {"optimization": "basic"},
)
# modules that the converting child needs, by extra
PACKAGES: dict[Format, tuple[str, tuple[str, ...]]] = {
    Format.ONNX: ("onnx", ("onnx",)),
    Format.SKOPS: ("sklearn", ("sklearn", "skl2onnx", "skops", "pandas", "onnx")),
    Format.PICKLE: ("sklearn", ("sklearn", "skl2onnx", "skops", "pandas", "onnx")),
    Format.XGBOOST_UBJ: ("xgboost", ("xgboost", "onnxmltools", "sklearn", "onnx")),
    Format.XGBOOST_JSON: ("xgboost", ("xgboost", "onnxmltools", "sklearn", "onnx")),
}
ERRORS: dict[ErrorKind, type[AuguriumError]] = {
    ErrorKind.INVALID_ARGUMENT: InvalidArgument,
    ErrorKind.INSUFFICIENT_STORAGE: InsufficientStorage,
}


def import_model(
    request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
) -> ImportResult:
    """Makes a model file servable. Blocking; `progress` gets a text for people and a fraction.

    `folder` is an empty folder of this import. Raises Unprocessable (unsafe or damaged file, model
    that cannot be converted or converts wrongly, crash of a child), InvalidArgument (unknown
    framework, a table that does not fit), DeadlineExceeded and InsufficientStorage (a limit of
    `limits` was met).
    """
    progress("detecting the format", 0.02)
    found = detect(request.file, request.filename, request.allow_code and limits.allow_code)
    check_framework(request.framework, found)
    check_installed(*PACKAGES[found])
    return _Import(request, folder, limits, found).run(progress)


def check_installed(extra: str, modules: Iterable[str]) -> None:
    """Looks for the modules without importing them.

    Raises Unprocessable naming the extra to install if one cannot be found.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise Unprocessable(
            f"this server lacks {', '.join(missing)} to import such models; "
            f"run: pip install 'augurium[{extra}]'"
        )


class _Import:
    def __init__(
        self, request: ImportRequest, folder: Path, limits: ImportSettings, found: Format
    ) -> None:
        self._request = request
        self._folder = folder
        self._limits = limits
        self._format = found
        self._deadline = time.monotonic() + limits.timeout_s
        self._source_bytes = request.file.stat().st_size
        self._tried: list[dict[str, str]] = []
        self._durations_s: dict[str, float] = {}

    def run(self, progress: Progress) -> ImportResult:
        progress(f"converting the {FRAMEWORKS[self._format] or 'pickled'} model to ONNX", 0.1)
        converted = self._convert()
        progress("comparing its answers with the framework's", 0.6)
        options, verified = self._verify(converted)
        progress("parity proven", 1.0)
        signature = converted.signature
        if not verified.row_independent:
            signature = msgspec.structs.replace(signature, batched=False)
        return ImportResult(
            framework=converted.framework,
            framework_version=converted.framework_version,
            runtime=RUNTIME,
            servable=self._convert_folder / job.MODEL_FILE,
            signature=signature,
            options=options,
            report=self._report(converted, verified, options),
        )

    @property
    def _convert_folder(self) -> Path:
        return self._folder / "convert"

    def _convert(self) -> job.Converted:
        table = self._request.table
        order = job.ConvertJob(
            file=str(self._request.file.absolute()),
            format=self._format,
            table=str(table.absolute()) if table else None,
            confinement=self._confinement(),
        )
        report = self._child("convert", self._convert_folder, order)
        produced = (job.MODEL_FILE, job.REFERENCE_FILE)
        if not isinstance(report, job.Converted) or not all(
            (self._convert_folder / name).is_file() for name in produced
        ):
            raise Unprocessable(
                "the import process claims success but left no model; the file cannot be trusted"
            )
        return report

    def _verify(self, converted: job.Converted) -> tuple[dict[str, str], job.Verified]:
        for attempt, options in enumerate(OPTIMIZATIONS):
            order = job.VerifyJob(
                model=str(self._convert_folder.absolute() / job.MODEL_FILE),
                reference=str(self._convert_folder.absolute() / job.REFERENCE_FILE),
                runtime=RUNTIME,
                options=options,
                signature=converted.signature,
                confinement=self._confinement(),
            )
            step = {"engine": RUNTIME, "optimization": options.get("optimization", "all")}
            try:
                report = self._child("verify", self._folder / f"verify-{attempt}", order)
            except _Crashed as crash:
                self._tried.append({**step, "outcome": f"crashed ({crash.cause})"})
                last = crash
                continue
            if not isinstance(report, job.Verified):
                raise Unprocessable("the trial run left no result; try again")
            self._tried.append({**step, "outcome": "ok"})
            return options, report
        raise last

    def _child(self, stage: str, folder: Path, order: job.Job) -> job.Report:
        """Runs one child; raises what it refused, and for every end but a report."""
        folder.mkdir(mode=0o700)
        (folder / job.JOB_FILE).write_bytes(msgspec.json.encode(order))
        ending = run_child(CHILD, folder, Budget(self._deadline, self._limits.memory_bytes))
        self._durations_s[stage] = round(self._durations_s.get(stage, 0.0) + ending.duration_s, 2)
        self._check_ending(ending)
        report = _read_report(folder / job.REPORT_FILE, ending)
        if isinstance(report, job.Refused):
            raise ERRORS.get(report.kind, Unprocessable)(report.message)
        return report

    def _check_ending(self, ending: Ending) -> None:
        if ending.end is End.TIMED_OUT:
            raise DeadlineExceeded(
                f"the import did not end within {self._limits.timeout_s:g} s and was stopped; "
                "raise importing.timeout_s or register a smaller model"
            )
        if ending.end is End.OUT_OF_MEMORY:
            raise InsufficientStorage(
                f"the import used more than {self._limits.memory_bytes} bytes of memory and was "
                "stopped; raise importing.memory_bytes or register a smaller model"
            )
        if ending.signal == signal.SIGKILL.name:
            raise InsufficientStorage(
                "the import was killed by the operating system, most likely because memory ran "
                "out; lower importing.memory_bytes or register a smaller model"
            )
        if ending.end is End.SIGNALLED:
            raise _Crashed(ending.signal)

    def _confinement(self) -> job.Confinement:
        return job.Confinement(
            file_bytes=FILE_ALLOWANCE_BYTES + FILE_FACTOR * self._source_bytes,
            cpu_s=math.ceil(max(0.0, self._deadline - time.monotonic())) + 1,
        )

    def _report(
        self, converted: job.Converted, verified: job.Verified, options: dict[str, str]
    ) -> dict[str, Any]:
        outputs = verified.outputs
        return {
            "format": str(self._format),
            "engine": RUNTIME,
            "optimization": options.get("optimization", "all"),
            "tried": self._tried,
            "parity": {
                "rows": verified.rows,
                "batches": list(verified.batches),
                "max_abs_error": max((o.max_abs_error for o in outputs.values()), default=0.0),
                "max_rel_error": max((o.max_rel_error for o in outputs.values()), default=0.0),
                "label_differences": outputs["label"].different if "label" in outputs else 0,
                "row_independent": verified.row_independent,
                "outputs": msgspec.to_builtins(outputs),
            },
            "versions": {**converted.versions, **verified.versions},
            "sizes": {
                "source_bytes": self._source_bytes,
                "servable_bytes": (self._convert_folder / job.MODEL_FILE).stat().st_size,
                "memory_bytes": verified.memory_bytes,
            },
            "latency_ms": verified.latency_ms,
            "load_ms": verified.load_ms,
            "durations_s": self._durations_s,
            "network_cut": converted.network_cut,
            "notes": list(converted.notes),
        }


class _Crashed(Unprocessable):
    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the import process crashed ({cause}) on this model; save it again with a current "
            "version of its framework, or export it to ONNX"
        )
        self.cause = cause


def _read_report(file: Path, ending: Ending) -> job.Report:
    try:
        with file.open("rb") as stream:
            report: job.Report = msgspec.json.decode(stream.read(MAX_REPORT_BYTES), type=job.Report)
            return report
    except FileNotFoundError:
        what = "ended without a report"
    except (OSError, msgspec.MsgspecError) as error:
        what = f"left a report that cannot be read ({error})"
    said = f"; it said: {ending.log_tail[-LOG_CHARACTERS:]}" if ending.log_tail else ""
    raise Unprocessable(f"the import process {what}{said}")
