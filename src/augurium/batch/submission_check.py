"""The look at a job before it is taken: `python -m augurium.batch.submission_check`.

Reads a `SubmissionOrder` as JSON from standard input and writes a `SubmissionVerdict` as JSON to
standard output. Nothing is left changed anywhere.
"""

import os
import sys
from collections.abc import Collection
from pathlib import Path

import msgspec

from augurium.batch.partition import InputPlan
from augurium.batch.ray_engine import check_installed
from augurium.batch.submission import NOT_INSTALLED, Refusal, SubmissionOrder, SubmissionVerdict
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import AuguriumError, ErrorKind, PermissionDenied
from augurium.registry.records import Version

LOWEST_PRIORITY = 19
LIBRARIES = frozenset({"pyarrow", "duckdb"})


def main() -> int:
    """Answers one order; returns 0 whatever the verdict is."""
    # large files take a while to look at, and predictions go first
    os.nice(LOWEST_PRIORITY)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=SubmissionOrder)
    sys.stdout.buffer.write(msgspec.json.encode(_verdict(order)))
    return 0


def checked(order: SubmissionOrder) -> SubmissionVerdict:
    """What the job would read. Blocking.

    Raises InvalidArgument, NotFound, Conflict, PermissionDenied and others for a job that cannot
    be, each with what to do about it.
    """
    # here, not above: whoever has not installed them is told so, and not shown a traceback
    from augurium.batch.code_confinement import check_reach
    from augurium.batch.input_plan import look_at_input
    from augurium.batch.model_choice import choose
    from augurium.batch.output_place import StoragePlace
    from augurium.batch.publication import check_output
    from augurium.batch.storage import Storage

    spec, version = order.spec, order.version
    if spec.engine == "ray":
        check_installed()
    storage = Storage(order.storage, roots=order.roots)
    choose(version, spec.runtime, spec.explain)
    check_reach(spec, version)
    plan = look_at_input(spec.input, version.signature, storage)
    _check_columns(spec, plan, version)
    files = {part.file for each in plan.partitions for part in each.fragments}
    _check_apart(files, Path(order.home).resolve())
    check_output(spec.output, StoragePlace(storage, spec.output.path), files)
    return SubmissionVerdict(files=plan.files, total_bytes=plan.total_bytes, rows=plan.rows)


def _check_columns(spec: BatchSpec, plan: InputPlan, version: Version) -> None:
    """Raises InvalidArgument for columns of the answers that cannot be."""
    import pyarrow as pa

    from augurium.batch.explanations import contribution_names
    from augurium.batch.output_columns import columns_of_job

    signature, more = version.signature, []
    if spec.explain:
        names = contribution_names(signature.expected_names)
        more = [pa.field(name, pa.float32()) for name in names]
    columns_of_job(spec, plan, signature, version.version, more)


def _verdict(order: SubmissionOrder) -> SubmissionVerdict:
    try:
        return checked(order)
    except AuguriumError as error:
        return SubmissionVerdict(refusal=Refusal(error.kind, str(error)))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        return SubmissionVerdict(refusal=Refusal(ErrorKind.INVALID_ARGUMENT, NOT_INSTALLED))


def _check_apart(files: Collection[str], home: Path) -> None:
    """The node's own folder has its keys and its registry: nobody reads them by a job.

    Raises PermissionDenied.
    """
    for file in files:
        if "://" not in file and Path(file).resolve().is_relative_to(home):
            raise PermissionDenied(
                f"the input has {file}, which is in the folder of the node itself; give paths"
                " without it"
            )


if __name__ == "__main__":
    sys.exit(main())
