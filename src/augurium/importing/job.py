"""What a child of an import is told and what it reports: plain data in two JSON files."""

import msgspec

from augurium.core.errors import ErrorKind
from augurium.core.signature import Signature

JOB_FILE = "job.json"
REPORT_FILE = "report.json"
MODEL_FILE = "model.onnx"
REFERENCE_FILE = "reference.msgpack"


class Confinement(msgspec.Struct, frozen=True):
    """Limits a child puts on itself: the largest file it may write, its seconds of CPU."""

    file_bytes: int
    cpu_s: int


class ConvertJob(msgspec.Struct, frozen=True, tag="convert", kw_only=True):
    """Convert `file` to ONNX and compute the native framework's answers.

    `format` is one of `formats.py`.
    """

    file: str
    format: str
    table: str | None
    confinement: Confinement


class VerifyJob(msgspec.Struct, frozen=True, tag="verify", kw_only=True):
    """Load the servable file as an engine does and compare its answers with the reference."""

    model: str
    reference: str
    runtime: str
    options: dict[str, str]
    signature: Signature
    confinement: Confinement


Job = ConvertJob | VerifyJob


class Converted(msgspec.Struct, frozen=True, tag="converted", kw_only=True):
    """The conversion came to an end. `notes` is what the owner of the model should know."""

    framework: str
    framework_version: str
    signature: Signature
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    network_cut: bool = False


class OutputParity(msgspec.Struct, frozen=True, kw_only=True):
    """One output's agreement with the reference; errors are 0 for outputs that are not numbers.

    `different` counts rows outside the tolerance and `uncertain` those not compared, because the
    framework's own answer changes there with a rounding error of the input.
    """

    rows: int
    different: int = 0
    uncertain: int = 0
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    rtol: float = 0.0
    atol: float = 0.0


class Verified(msgspec.Struct, frozen=True, tag="verified", kw_only=True):
    """The servable file loads, runs and agrees. `latency_ms` is the median by batch size.

    `row_independent` is false when a row's answer depends on its neighbours in the batch.
    """

    outputs: dict[str, OutputParity]
    batches: tuple[int, ...]
    rows: int
    row_independent: bool
    latency_ms: dict[str, float]
    load_ms: float
    memory_bytes: int
    versions: dict[str, str]


class Refused(msgspec.Struct, frozen=True, tag="refused", kw_only=True):
    """The child says no, and why."""

    kind: ErrorKind
    message: str


Report = Converted | Verified | Refused
