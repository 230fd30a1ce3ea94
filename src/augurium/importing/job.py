"""What a child of an import is told and what it reports: plain data in two JSON files."""

from typing import Any

import msgspec

from augurium.core.errors import ErrorKind
from augurium.core.signature import Signature
from augurium.importing.conversion import Candidate, Tried

JOB_FILE = "job.json"
REPORT_FILE = "report.json"
REFERENCE_FILE = "reference.msgpack"
PROFILE_FILE = "profile.json"
# left by a conversion that found example rows beside the model
EXAMPLE_FILE = "example.json"


class Confinement(msgspec.Struct, frozen=True):
    """Limits a child puts on itself: the largest file it may write, its seconds of CPU, and the
    files outside the import's folder that it may read.
    """

    file_bytes: int
    cpu_s: int
    readable: tuple[str, ...] = ()


class ConvertJob(msgspec.Struct, frozen=True, tag="convert", kw_only=True):
    """Make a candidate for each of `engines` and compute the native framework's answers.

    `format` is one of `formats.py`; `preprocessing` is the file of fitted transforms. `prepacking`
    is what the owner wants of ONNX Runtime: on, off, or None for what is best.
    """

    file: str
    format: str
    table: str | None
    engines: tuple[str, ...]
    confinement: Confinement
    preprocessing: str | None = None
    prepacking: str | None = None


class VerifyJob(msgspec.Struct, frozen=True, tag="verify", kw_only=True):
    """Load the servable file as an engine does and compare its answers with the reference.

    `weights` is the file of external weights.
    """

    model: str
    reference: str
    runtime: str
    options: dict[str, str]
    signature: Signature
    confinement: Confinement
    weights: str | None = None


class ProfileJob(msgspec.Struct, frozen=True, tag="profile", kw_only=True):
    """Describe the training table and, with `seconds` for it, the model's answers to its rows."""

    table: str
    model: str
    runtime: str
    options: dict[str, str]
    signature: Signature
    seconds: float
    confinement: Confinement
    weights: str | None = None


Job = ConvertJob | VerifyJob | ProfileJob


class Converted(msgspec.Struct, frozen=True, tag="converted", kw_only=True):
    """The conversion came to an end. `notes` is what the owner of the model should know.

    `candidates`, `tried` and `weights` as in `Conversion`.
    """

    framework: str
    framework_version: str
    candidates: tuple[Candidate, ...]
    tried: tuple[Tried, ...]
    signature: Signature
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    weights: dict[str, Any] = {}
    network_cut: bool = False
    file_system_confined: bool = False
    allowed_code: bool = False


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

    `memory_bytes` is what loading and a usual batch take, `process_bytes` what the process held in
    the end, with the framework.

    `row_independent` is false when a row's answer depends on its neighbours in the batch.
    """

    outputs: dict[str, OutputParity]
    batches: tuple[int, ...]
    rows: int
    row_independent: bool
    latency_ms: dict[str, float]
    load_ms: float
    memory_bytes: int
    process_bytes: int
    versions: dict[str, str]


class Profiled(msgspec.Struct, frozen=True, tag="profiled", kw_only=True):
    """The profile is written: of so many rows, and of the answers to `output_rows` of them.

    `examples` are rows as v1 instances, each of which the model answered.
    """

    rows: int
    output_rows: int
    examples: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True, tag="refused", kw_only=True):
    """The child says no, and why. `mismatch`: the model runs, and its answers are wrong."""

    kind: ErrorKind
    message: str
    mismatch: bool = False


Report = Converted | Verified | Profiled | Refused
