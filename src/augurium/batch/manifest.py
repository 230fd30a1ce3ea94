"""What a job has left behind: written last, so that whoever finds it finds everything."""

from collections.abc import Iterable, Sequence

import msgspec

from augurium.batch.partition import PartitionResult, WrittenFile
from augurium.core.errors import Unprocessable


class ManifestFile(msgspec.Struct, frozen=True):
    """A file by its name below the output, with the SHA-256 of its content."""

    name: str
    rows: int
    size_bytes: int
    sha256: str


class ManifestInput(msgspec.Struct, frozen=True):
    """A file that was read, and what tells its content from that of another: an ETag, or size and
    time of change.
    """

    file: str
    identity: str


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which job it was: what does not follow from what was written."""

    job: str
    model: str
    version: int
    format: str
    seed: int = 0
    inputs: tuple[ManifestInput, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing in it depends on when or where the job ran. `rejected` counts by kind of reason;
    `rejected_files` say which rows those are.
    """

    job: str
    model: str
    version: int
    format: str
    seed: int
    read_rows: int
    written_rows: int
    filtered_rows: int
    rejected: dict[str, int]
    files: tuple[ManifestFile, ...]
    rejected_files: tuple[ManifestFile, ...]
    inputs: tuple[ManifestInput, ...]


def manifest_of(facts: JobFacts, results: Sequence[PartitionResult]) -> Manifest:
    """The manifest of a job whose partitions are all committed; `results` in any order."""
    files = [file for result in results for file in result.files]
    return Manifest(
        job=facts.job,
        model=facts.model,
        version=facts.version,
        format=facts.format,
        seed=facts.seed,
        read_rows=sum(result.read_rows for result in results),
        written_rows=sum(result.written_rows for result in results),
        filtered_rows=sum(result.filtered_rows for result in results),
        rejected=_added(result.rejected for result in results),
        files=_listed(file for file in files if not file.rejected),
        rejected_files=_listed(file for file in files if file.rejected),
        inputs=facts.inputs,
    )


def encoded(manifest: Manifest) -> bytes:
    """As it is stored: JSON for people as well."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decoded(content: bytes, name: str) -> Manifest:
    """Raises Unprocessable for what is no manifest."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise Unprocessable(
            f"'{name}' is not the manifest of a job ({error}); move it away if it is damaged"
        ) from error


def _listed(files: Iterable[WrittenFile]) -> tuple[ManifestFile, ...]:
    found = [ManifestFile(file.name, file.rows, file.size_bytes, file.digest) for file in files]
    return tuple(sorted(found, key=lambda file: file.name))


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for kind, count in one.items():
            total[kind] = total.get(kind, 0) + count
    return dict(sorted(total.items()))
