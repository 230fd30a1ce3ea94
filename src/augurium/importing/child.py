"""The child process of an import: reads `job.json`, does one job, writes `report.json`.

Run as `python -m augurium.importing.child` in a private working folder. Frameworks are imported
here and in what is imported from here, never in a server.
"""

import errno
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from augurium.core.errors import AuguriumError, ErrorKind
from augurium.importing.confinement import confine
from augurium.importing.formats import FRAMEWORKS, Format
from augurium.importing.job import (
    JOB_FILE,
    MODEL_FILE,
    REFERENCE_FILE,
    REPORT_FILE,
    Converted,
    ConvertJob,
    Job,
    Refused,
    Report,
    VerifyJob,
)

if TYPE_CHECKING:
    from augurium.importing.conversion import Conversion

MESSAGE_CHARACTERS = 2000
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def main() -> None:
    """Confines this process, then does the job of the working folder and reports."""
    job = msgspec.json.decode(Path(JOB_FILE).read_bytes(), type=Job)
    network_cut = confine(job.confinement)
    warnings.simplefilter("ignore")
    try:
        report = _do(job, network_cut)
    except AuguriumError as error:
        report = Refused(kind=error.kind, message=str(error)[:MESSAGE_CHARACTERS])
    except MemoryError:
        report = Refused(kind=ErrorKind.INSUFFICIENT_STORAGE, message="the memory ran out")
    except OSError as error:
        kind = ErrorKind.INSUFFICIENT_STORAGE if error.errno in NO_ROOM else ErrorKind.UNPROCESSABLE
        report = Refused(kind=kind, message=f"the model cannot be imported: {error.strerror}")
    except Exception as error:  # edge of the process: frameworks raise whatever they like
        # further lines are traces of native code
        said = (str(error).splitlines() or [""])[0][:MESSAGE_CHARACTERS]
        message = f"the model cannot be imported: {type(error).__name__}: {said}"
        report = Refused(kind=ErrorKind.UNPROCESSABLE, message=message)
    Path(REPORT_FILE).write_bytes(msgspec.json.encode(report))


def _do(job: Job, network_cut: bool) -> Report:
    if isinstance(job, VerifyJob):
        # each job imports what it needs: frameworks take seconds
        from augurium.importing.verify import verify

        return verify(job)
    conversion = _convert(job)
    _write(conversion)
    return Converted(
        framework=conversion.framework,
        framework_version=conversion.framework_version,
        signature=conversion.signature,
        versions={**conversion.versions, "python": sys.version.split()[0]},
        notes=conversion.notes,
        network_cut=network_cut,
    )


def _convert(job: ConvertJob) -> "Conversion":
    from augurium.importing.table import read_table

    table = read_table(Path(job.table)) if job.table else None
    file, found = Path(job.file), Format(job.format)
    if FRAMEWORKS[found] == "onnx":
        from augurium.importing import onnx_import

        return onnx_import.import_file(file, table)
    if FRAMEWORKS[found] == "xgboost":
        from augurium.importing.xgboost_rules import read_supported

        content = file.read_bytes()
        supported = read_supported(content)
        from augurium.importing import xgboost_import

        return xgboost_import.import_content(content, supported, table)
    from augurium.importing import sklearn_import

    return sklearn_import.import_file(file, found, table)


def _write(conversion: "Conversion") -> None:
    from augurium.importing import conversion as tolerances
    from augurium.importing.reference import Reference, pack_all, write_reference

    outputs = conversion.outputs
    reference = Reference(
        inputs=pack_all(conversion.inputs),
        outputs=None if outputs is None else pack_all(outputs),
        uncertain=pack_all(conversion.uncertain),
        rtol=dict.fromkeys(outputs or {}, tolerances.RELATIVE_TOLERANCE),
        atol={n: tolerances.absolute_tolerance(n, a) for n, a in (outputs or {}).items()},
        original=conversion.original,
    )
    write_reference(Path(REFERENCE_FILE), reference)
    Path(MODEL_FILE).write_bytes(conversion.model)


if __name__ == "__main__":
    main()
