"""One import: detect the format, make candidates in a child, verify each in a fresh one, choose.

No framework is loaded in the calling process, and what a child claims is believed only where the
verifying child has seen it.
"""

import importlib.util
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.settings import ImportSettings
from augurium.core.signature import Signature
from augurium.importing import job
from augurium.importing.attempts import ENGINE_FILE
from augurium.importing.conversion import Candidate, Tried
from augurium.importing.converters import CONVERTERS
from augurium.importing.description import Description, describe, seconds_for_answers
from augurium.importing.folders import opened, size_bytes
from augurium.importing.formats import FRAMEWORKS, Format, check_framework, detect
from augurium.importing.import_report import Imported, import_report, no_engine
from augurium.importing.result import ImportRequest, ImportResult
from augurium.importing.stages import Broken, Stages, refusal
from augurium.importing.trial import OK, Choice, Trial, choose, is_beyond_reach
from augurium.runtimes.runtime import RUNTIMES

Progress = Callable[[str, float], None]

FILE_ALLOWANCE_BYTES = 1024**3
FILE_FACTOR = 8
UNPACKED = "unpacked"
NATIVE = "native"
CONVERTED = ("onnx", "treelite")
# a sound model may end the process when its session is created at full optimisation
OPTIMIZATIONS = ("all", "extended", "basic")
# further engines are worth this much once one has passed
SECOND_LOOK_S = 15.0
PARALLEL_TRIALS = 2


def import_model(
    request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
) -> ImportResult:
    """Makes a model file servable. Blocking; `progress` gets a text for people and a fraction.

    `folder` is an empty folder of this import. Raises Unprocessable (unsafe or damaged file, model
    that no engine serves rightly, crash of a child), InvalidArgument (unknown framework or engine,
    a table that does not fit), DeadlineExceeded and InsufficientStorage (a limit of `limits` was
    met).
    """
    progress("detecting the format", 0.02)
    request = msgspec.structs.replace(request, file=opened(request.file, folder / UNPACKED))
    found = detect(request.file, request.filename, request.allow_code and limits.allow_code)
    check_framework(request.framework, found)
    engines = wanted_engines(CONVERTERS[found].engines, request.engine)
    check_installed(CONVERTERS[found].extra, CONVERTERS[found].modules)
    return _Import(request, folder, limits, found, engines).run(progress)


def wanted_engines(possible: Sequence[str], wanted: str | None) -> tuple[str, ...]:
    """The engines to try: all possible ones, or the one asked for (`native`: the framework's own).

    Raises InvalidArgument for a name that is not an engine, Unprocessable for one that cannot serve
    such files.
    """
    if wanted is None:
        return tuple(possible)
    if wanted not in (*RUNTIMES, NATIVE):
        raise InvalidArgument(
            f"engine '{wanted[:64]}' is not known; expected {NATIVE} or one of "
            f"{', '.join(RUNTIMES)}"
        )
    native = tuple(engine for engine in possible if engine not in CONVERTED)
    chosen = native if wanted == NATIVE else tuple(e for e in possible if e == wanted)
    if not chosen:
        raise Unprocessable(
            f"engine {wanted} cannot serve such a file; expected one of {', '.join(possible)}"
        )
    return chosen


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
        self,
        request: ImportRequest,
        folder: Path,
        limits: ImportSettings,
        found: Format,
        engines: tuple[str, ...],
    ) -> None:
        self._request = request
        self._folder = folder
        self._format = found
        self._engines = engines
        self._stages = Stages(folder, limits)
        self._allow_code = request.allow_code and limits.allow_code
        # with what lies beside the model: an ONNX file may have its weights there
        unpacked = folder / UNPACKED
        self._source_bytes = size_bytes(unpacked if unpacked.is_dir() else request.file)
        self._steps: list[dict[str, str]] = []

    def run(self, progress: Progress) -> ImportResult:
        progress(f"converting the {FRAMEWORKS[self._format] or 'pickled'} model", 0.1)
        converted, folder, ended = self._convert()
        progress("comparing its answers with the framework's", 0.6)
        trials = self._verify_all(converted, folder)
        failed = [Trial(engine=t.engine, outcome=t.outcome) for t in (*ended, *converted.tried)]
        trials = sorted([*trials, *failed], key=lambda trial: self._engines.index(trial.engine))
        choice = choose(trials, self._request.engine)
        if choice is None:
            raise no_engine(trials) if trials else self._not_its_engine(converted.framework)
        described = self._describe(converted, folder, choice, progress)
        progress("parity proven", 1.0)
        return self._result(converted, trials, choice, described)

    def _describe(
        self, converted: job.Converted, folder: Path, choice: Choice, progress: Progress
    ) -> Description:
        """What the training data adds; examples alone where the model brought some itself."""
        example, table = folder / job.EXAMPLE_FILE, self._request.table
        found = example.is_file() and not example.is_symlink()
        if table is None and not found:
            return Description()
        progress("describing the training data", 0.85)
        signature = _served(converted.signature, choice)
        order = self._profile_job(table or example, choice.trial, signature)
        described = describe(self._stages, self._folder, order)
        # a few rows say nothing of how the values are distributed
        return described if table else Description(examples=described.examples)

    def _not_its_engine(self, framework: str) -> Unprocessable:
        """Of formats that hold models of several frameworks, each with engines of its own."""
        return Unprocessable(
            f"engine {self._request.engine} cannot serve this {framework} model; ask for "
            f"{NATIVE}, which is {framework} itself, or leave the engine out for the best one"
        )

    def _convert(self) -> tuple[job.Converted, Path, list[Tried]]:
        """Converts; again without an engine that ended the child while it was worked on."""
        engines, ended = list(self._engines), list[Tried]()
        while engines:
            name = f"convert-{len(ended)}"
            seconds = self._stages.remaining_s / (2 if len(engines) > 1 else 1)
            report = self._stages.run("convert", name, self._convert_job(engines), seconds)
            if isinstance(report, job.Refused):
                raise refusal(report)
            if isinstance(report, job.Converted):
                self._check_claims(report, self._folder / name)
                return report, self._folder / name, ended
            if not isinstance(report, Broken):
                raise Unprocessable("the import process left a report of something else")
            engine = _noted_engine(self._folder / name)
            if engine not in engines:
                raise report.error
            engines.remove(engine)
            ended.append(Tried(engine=engine, outcome=report.outcome))
            error = report.error
        if len(ended) == 1:
            raise error
        raise no_engine([Trial(engine=t.engine, outcome=t.outcome) for t in ended])

    def _convert_job(self, engines: list[str]) -> job.ConvertJob:
        request = self._request
        return job.ConvertJob(
            file=str(request.file.absolute()),
            format=self._format,
            table=str(request.table.absolute()) if request.table else None,
            preprocessing=str(request.preprocessing.absolute()) if request.preprocessing else None,
            engines=tuple(engines),
            prepacking=request.prepacking,
            confinement=self._confinement(),
        )

    def _check_claims(self, report: job.Converted, folder: Path) -> None:
        """Holds a report against the files there are; a file that runs code may have forged it."""
        names = {name for c in report.candidates for name in (c.file, c.weights) if name}
        for name in (job.REFERENCE_FILE, *names):
            file = folder / name
            if Path(name).name != name or file.is_symlink() or not file.is_file():
                raise Unprocessable(
                    "the import process claims success but left no model; the file cannot be "
                    "trusted"
                )
        if not self._allow_code and any(
            candidate.runtime == "python" or candidate.options.get("format") == "pickle"
            for candidate in report.candidates
        ):
            raise Unprocessable(
                "the import process proposes to serve a pickle, which runs code; this needs "
                "importing.allow_code on the server and allow_code on the request"
            )
        engines = [candidate.runtime for candidate in report.candidates]
        if len(set(engines)) != len(engines):
            raise Unprocessable("the import process proposes an engine twice; try again")
        for engine in (*engines, *(tried.engine for tried in report.tried)):
            if engine not in self._engines:
                raise Unprocessable(
                    f"the import process proposes the engine {engine[:64]}, which was not asked "
                    "for; the file cannot be trusted"
                )

    def _verify_all(self, converted: job.Converted, folder: Path) -> list[Trial]:
        """Trials of all candidates; the later ones only if they could be worth it."""
        if not converted.candidates:
            return []
        first, *others = sorted(
            converted.candidates, key=lambda candidate: self._engines.index(candidate.runtime)
        )
        trials = [self._verify(converted, folder, first, None)]
        passed = trials[0].outcome == OK
        if passed and is_beyond_reach(trials[0]):
            why = f"not needed: {first.runtime} is faster than the way to another process"
            return trials + [Trial(engine=other.runtime, outcome=why) for other in others]
        with ThreadPoolExecutor(PARALLEL_TRIALS) as threads:
            seconds = SECOND_LOOK_S if passed else None
            later = threads.map(lambda c: self._verify(converted, folder, c, seconds), others)
            return trials + list(later)

    def _verify(
        self, converted: job.Converted, folder: Path, candidate: Candidate, seconds: float | None
    ) -> Trial:
        """Tries one candidate; ONNX also with less optimisation when its process crashes."""
        onnx = candidate.runtime == "onnx"
        levels = OPTIMIZATIONS if onnx and "optimization" not in candidate.options else ("",)
        trial = Trial(engine=candidate.runtime, outcome="not tried")
        for level in levels:
            options = dict(candidate.options)
            if level not in ("", OPTIMIZATIONS[0]):
                options["optimization"] = level
            order = self._verify_job(converted, folder, candidate, options)
            name = f"verify-{candidate.runtime}{level and '-'}{level}"
            report = self._stages.run("verify", name, order, seconds)
            trial = _trial(candidate, options, order, report)
            step = {"engine": candidate.runtime, "outcome": trial.outcome}
            self._steps.append({**step, "optimization": level} if onnx else step)
            if not trial.outcome.startswith("crashed"):
                break
        return trial

    def _verify_job(
        self, converted: job.Converted, folder: Path, candidate: Candidate, options: dict[str, str]
    ) -> job.VerifyJob:
        folder = folder.absolute()
        return job.VerifyJob(
            model=str(folder / candidate.file),
            weights=str(folder / candidate.weights) if candidate.weights else None,
            reference=str(folder / job.REFERENCE_FILE),
            runtime=candidate.runtime,
            options=options,
            signature=converted.signature,
            confinement=self._confinement(),
        )

    def _profile_job(self, table: Path, chosen: Trial, signature: Signature) -> job.ProfileJob:
        return job.ProfileJob(
            table=str(table.absolute()),
            model=chosen.file,
            weights=chosen.weights,
            runtime=chosen.engine,
            options=chosen.options,
            signature=signature,
            seconds=seconds_for_answers(self._stages),
            confinement=self._confinement(),
        )

    def _result(
        self,
        converted: job.Converted,
        trials: list[Trial],
        choice: Choice,
        described: Description,
    ) -> ImportResult:
        chosen = choice.trial
        imported = Imported(
            format=self._format,
            converted=converted,
            trials=trials,
            choice=choice,
            steps=self._steps,
            source_bytes=self._source_bytes,
            durations_s=self._stages.durations_s,
        )
        return ImportResult(
            framework=converted.framework,
            framework_version=converted.framework_version,
            runtime=chosen.engine,
            servable=Path(chosen.file),
            weights=Path(chosen.weights) if chosen.weights else None,
            signature=_served(converted.signature, choice),
            options=chosen.options,
            report={**import_report(imported), "training_data": described.report},
            profile=described.profile,
            examples=described.examples,
            allowed_code=converted.allowed_code or CONVERTERS[self._format].runs_code,
        )

    def _confinement(self) -> job.Confinement:
        request = self._request
        given = filter(None, (request.file, request.table, request.preprocessing))
        return job.Confinement(
            file_bytes=FILE_ALLOWANCE_BYTES + FILE_FACTOR * self._source_bytes,
            cpu_s=math.ceil(self._stages.remaining_s) + 1,
            readable=tuple(str(file.absolute()) for file in given),
        )


def _served(signature: Signature, choice: Choice) -> Signature:
    """The signature as the chosen engine keeps it: rows that depend on each other are no batch."""
    verified = choice.trial.verified
    if verified is None or verified.row_independent:
        return signature
    return msgspec.structs.replace(signature, batched=False)


def _trial(
    candidate: Candidate,
    options: dict[str, str],
    order: job.VerifyJob,
    report: job.Report | Broken,
) -> Trial:
    if isinstance(report, job.Verified):
        return Trial(
            engine=candidate.runtime,
            outcome=OK,
            options=options,
            file=order.model,
            weights=order.weights,
            verified=report,
        )
    if isinstance(report, job.Refused):
        outcome = f"{'mismatch' if report.mismatch else 'failed'}: {report.message}"
    else:
        outcome = report.outcome if isinstance(report, Broken) else "failed: no result was left"
    return Trial(engine=candidate.runtime, outcome=outcome)


def _noted_engine(folder: Path) -> str:
    """The engine the child was working on when it ended; empty if none."""
    note = folder / ENGINE_FILE
    if note.is_symlink() or not note.is_file():
        return ""
    return note.read_bytes()[:64].decode("utf-8", "replace")
