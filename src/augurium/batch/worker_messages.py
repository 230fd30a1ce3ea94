"""What a job's process and its workers say to each other: msgpack, after its length."""

import struct
from collections.abc import Callable

import msgspec
from msgspec import Struct

from augurium.batch.model_files import ModelFiles
from augurium.batch.partition import InputPlan, Partition, PartitionResult, RejectedRow
from augurium.batch.worker_start import WorkerStart
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import ErrorKind
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature

LENGTH = struct.Struct("<I")


class Load(Struct, frozen=True, tag="load", kw_only=True):
    """Load a model, and be ready for partitions of a job, which has this token. The plan comes
    without its partitions; `profile` is the file of the version's training profile. `mark` tells
    the staged files of those apart who have the same token. The folder `scratch` is removed as soon
    as all is loaded.
    """

    job: str
    token: int
    spec: BatchSpec
    version: int
    signature: Signature
    plan: InputPlan
    model: ModelFiles
    storage: StorageSettings
    roots: tuple[str, ...] | None = None
    profile: str | None = None
    mark: str = ""
    scratch: str = ""


class Import(Struct, frozen=True, tag="import"):
    """Import what a runtime needs; it will be wanted soon."""

    runtime: str


class Convert(Struct, frozen=True, tag="convert"):
    """Write the source of a version into a folder, as its own framework would serve it."""

    runtime: str
    source: str
    folder: str


class Measure(Struct, frozen=True, tag="measure"):
    """Find the batch size, with the first rows of a partition."""

    partition: Partition


class Score(Struct, frozen=True, tag="score"):
    """Score a partition. `deadly` are places of rows in it that end the process that scores them:
    they are set aside, with the reason.
    """

    partition: Partition
    batch_size: int
    deadly: dict[int, str] = {}


class Probe(Struct, frozen=True, tag="probe"):
    """Score the rows of a partition from one place up to another in halves, for nothing but to see
    which of them can be scored; those that are known to be `deadly` are left out. They were among
    `batch_size` rows that were scored at once.
    """

    partition: Partition
    start: int
    stop: int
    batch_size: int
    deadly: tuple[int, ...] = ()


class ScoreAll(Struct, frozen=True, tag="score_all"):
    """Score partitions on a Ray cluster: at `address`, with so many of them at a time, 0 for one
    per processor; empty: on one of this machine alone. Workers there are as confined as those that
    begin so here.
    """

    load: Load
    how: WorkerStart
    partitions: tuple[Partition, ...]
    batch_size: int
    scorers: int
    address: str


Order = Load | Import | Convert | Measure | Score | Probe | ScoreAll


class Done(Struct, frozen=True, tag="done"):
    """An order that asks for no more than this is carried out."""


class Converted(Struct, frozen=True, tag="converted"):
    path: str
    options: dict[str, str]


class Measured(Struct, frozen=True, tag="measured"):
    batch_size: int
    rows_per_s: float


class Scored(Struct, frozen=True, tag="scored"):
    result: PartitionResult


class Running(Struct, frozen=True, tag="running"):
    """The model begins to run on the rows of a partition from one place up to another."""

    start: int
    stop: int


class Ran(Struct, frozen=True, tag="ran"):
    """The model runs no more."""


class Counted(Struct, frozen=True, tag="counted"):
    """How far a partition is; `example` is the first row of it that was set aside."""

    read_rows: int
    written_rows: int
    filtered_rows: int
    rejected: dict[str, int]
    example: RejectedRow | None = None


class Scoring(Struct, frozen=True, tag="scoring"):
    """How far one of several partitions is."""

    number: int
    counted: Counted


class Finished(Struct, frozen=True, tag="finished"):
    """One of several partitions is scored."""

    result: PartitionResult


class Gathered(Struct, frozen=True, tag="gathered"):
    """So many partitions will be scored at a time, if the cluster has room for them."""

    scorers: int


class Noticed(Struct, frozen=True, tag="noticed"):
    """Something that a person may want to know."""

    text: str


class Failed(Struct, frozen=True, tag="failed"):
    """An order that could not be carried out, and why."""

    kind: ErrorKind
    message: str


Note = Running | Ran | Counted | Gathered | Scoring | Finished | Noticed
Reply = Done | Converted | Measured | Scored | Failed
Tell = Callable[[Note | Reply], None]

encode = msgspec.msgpack.Encoder().encode
decode_order: Callable[[bytes], Order] = msgspec.msgpack.Decoder(Order).decode
decode_said: Callable[[bytes], Note | Reply] = msgspec.msgpack.Decoder(Note | Reply).decode


def framed(message: Order | Note | Reply) -> bytes:
    """A message as it goes through a pipe."""
    content = encode(message)
    return LENGTH.pack(len(content)) + content
