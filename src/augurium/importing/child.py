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
from augurium.importing.confinement import Isolation, confine
from augurium.importing.converters import CONVERTERS
from augurium.importing.formats import Format
from augurium.importing.job import (
    JOB_FILE,
    REFERENCE_FILE,
    REPORT_FILE,
    Converted,
    ConvertJob,
    Job,
    ProfileJob,
    Refused,
    Report,
    VerifyJob,
)
from augurium.importing.parity import Mismatch
from augurium.runtimes.runtime import IN_ENGINE, TAKE_BYTES

if TYPE_CHECKING:
    from augurium.importing.conversion import Conversion

MESSAGE_CHARACTERS = 2000
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def main() -> None:
    """Confines this process, then does the job of the working folder and reports."""
    job = msgspec.json.decode(Path(JOB_FILE).read_bytes(), type=Job)
    isolation = confine(job.confinement)
    warnings.simplefilter("ignore")
    try:
        report = _do(job, isolation)
    except Mismatch as error:
        report = Refused(kind=error.kind, message=str(error)[:MESSAGE_CHARACTERS], mismatch=True)
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


def _do(job: Job, isolation: Isolation) -> Report:
    if isinstance(job, VerifyJob):
        # each job imports what it needs: frameworks take seconds
        from augurium.importing.verify import verify

        return verify(job)
    if isinstance(job, ProfileJob):
        from augurium.importing.profiling import profile

        return profile(job)
    conversion = _convert(job)
    if any(candidate.runtime == "onnx" for candidate in conversion.candidates):
        from augurium.importing.weight_sharing import with_shared_weights

        conversion = with_shared_weights(conversion, job.prepacking)
    _write(conversion)
    return Converted(
        framework=conversion.framework,
        framework_version=conversion.framework_version,
        candidates=conversion.candidates,
        tried=conversion.tried,
        signature=conversion.signature,
        versions={**conversion.versions, "python": sys.version.split()[0]},
        notes=conversion.notes,
        weights=conversion.weights,
        network_cut=isolation.network_cut,
        file_system_confined=isolation.file_system_confined,
        allowed_code=conversion.allowed_code,
    )


def _convert(job: ConvertJob) -> "Conversion":
    from augurium.importing.table import read_table

    converter = CONVERTERS[Format(job.format)]
    import_file = converter.load()
    if job.preprocessing is not None:
        from augurium.importing.feature_columns import declared_kinds
        from augurium.importing.preprocessing_import import import_with_preprocessing
        from augurium.preprocessing.fitted import read_fitted

        fitted = read_fitted(Path(job.preprocessing))
        kinds = declared_kinds(fitted.signature(()))
        raw = read_table(Path(job.table), kinds, finite=False) if job.table else None
        engines = frozenset(job.engines)
        return import_with_preprocessing(import_file, Path(job.file), fitted, raw, engines)
    takes_bytes = bool(TAKE_BYTES.intersection(converter.engines))
    binary = takes_bytes and TAKE_BYTES.union(IN_ENGINE).issuperset(converter.engines)
    table = read_table(Path(job.table), binary=binary) if job.table else None
    return import_file(Path(job.file), table, frozenset(job.engines))


def _write(conversion: "Conversion") -> None:
    from augurium.importing.reference import Reference, pack_all, write_reference

    outputs = conversion.outputs
    rtol, atol = conversion.tolerances()
    reference = Reference(
        inputs=pack_all(conversion.inputs),
        outputs=None if outputs is None else pack_all(outputs),
        uncertain=pack_all(conversion.uncertain),
        rtol=rtol,
        atol=atol,
        original=conversion.original,
    )
    write_reference(Path(REFERENCE_FILE), reference)


if __name__ == "__main__":
    main()
