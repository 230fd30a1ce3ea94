"""What the training data adds to an import: the reference profile and examples.

An import that came so far is not lost for it: where the last child fails, there is a note instead.
"""

from pathlib import Path
from typing import Any

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.importing import job
from augurium.importing.stages import Broken, Stages
from augurium.statistics.profiles import read_profile

STAGE = "profile"
MAX_PROFILE_BYTES = 64 * 1024**2
MAX_EXAMPLES = 5
ANSWERS_S = 15.0
SHARE_FOR_ANSWERS = 0.25


class Description(msgspec.Struct, frozen=True):
    """The profile's file, example rows, and lines for the import report."""

    profile: Path | None = None
    examples: tuple[Any, ...] = ()
    report: dict[str, Any] = {}


def seconds_for_answers(stages: Stages) -> float:
    """How long the model may answer training rows."""
    return min(ANSWERS_S, SHARE_FOR_ANSWERS * stages.remaining_s)


def describe(stages: Stages, folder: Path, order: job.ProfileJob) -> Description:
    """Runs the child; `folder` is that of the import. Blocking."""
    found = stages.run(STAGE, STAGE, order)
    if isinstance(found, Broken):
        return _without(found.outcome)
    if isinstance(found, job.Refused):
        return _without(found.message)
    if not isinstance(found, job.Profiled):
        return _without("the process left a report of something else")
    file = folder / STAGE / job.PROFILE_FILE
    try:
        _check(file)
    except InvalidArgument as error:
        return _without(str(error))
    rows = {"rows": found.rows, "output_rows": found.output_rows, "notes": list(found.notes)}
    return Description(file, found.examples[:MAX_EXAMPLES], rows)


def _check(file: Path) -> None:
    """A model whose file runs code may have written it."""
    if file.is_symlink() or not file.is_file():
        raise InvalidArgument("there is no profile")
    if file.stat().st_size > MAX_PROFILE_BYTES:
        raise InvalidArgument(f"the profile has more than {MAX_PROFILE_BYTES} bytes")
    read_profile(file.read_bytes())


def _without(reason: str) -> Description:
    return Description(report={"notes": [f"no reference profile: {reason}"]})
