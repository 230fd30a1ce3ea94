"""What is asked of the process that looks at a job before it is taken, and what it says.

Control writes an order to its standard input and reads a verdict from its standard output: what
reads files loads libraries, which control and its memory are kept free of.
"""

from msgspec import Struct

from augurium.core.batch_job import BatchSpec
from augurium.core.errors import ErrorKind
from augurium.core.settings import StorageSettings
from augurium.registry.records import Version

NOT_INSTALLED = (
    "batch jobs need libraries that are not installed on the server; install them with"
    " `pip install 'augurium[batch]'`"
)


class SubmissionOrder(Struct, frozen=True):
    """The job, the version that it will use, and where it may read and write; `roots` None means
    anywhere. `home` is the node's own folder, in which it may not.
    """

    spec: BatchSpec
    version: Version
    storage: StorageSettings
    roots: tuple[str, ...] | None
    home: str


class Refusal(Struct, frozen=True):
    """Why the job cannot be."""

    kind: ErrorKind
    reason: str


class SubmissionVerdict(Struct, frozen=True, omit_defaults=True):
    """What was found: how many files, bytes and rows there are (None: only reading tells), or why
    the job is refused.
    """

    files: int = 0
    total_bytes: int = 0
    rows: int | None = None
    refusal: Refusal | None = None
