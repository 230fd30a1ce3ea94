"""How what a job has written becomes visible: all of it, once, whatever is killed on the way.

Every step may be repeated, and any holder of the job may go on where another one stopped. No step
needs a conditional write. The order is what counts:

1. all files are found to be there, whole;
2. what `overwrite` replaces is noted, then removed;
3. files get the names that readers see;
4. the manifest is written: from here on the job is published;
5. what waited is swept.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from augurium.batch.manifest import JobFacts, Manifest, decoded, encoded, manifest_of
from augurium.batch.partition import PartitionResult, WrittenFile
from augurium.batch.staged_names import (
    FOLDER,
    REJECTED,
    is_manifest,
    is_visible,
    job_folder,
    manifest_name,
)
from augurium.batch.storage_port import OutputPlace
from augurium.core.batch_job import OutputSpec
from augurium.core.errors import Conflict, InvalidArgument, NotFound, Unprocessable
from augurium.core.identifiers import new_id


def check_output(spec: OutputSpec, place: OutputPlace, inputs: Collection[str] = ()) -> None:
    """Refuses, before any work, an output that could not be published.

    `inputs` are the files that will be read. Raises Conflict when the folder is not empty and the
    mode is `fail`, or holds what no job has written and the mode is `overwrite`; InvalidArgument
    when it has files that will be read; and what the place raises when it cannot be written.
    """
    below = place.url + "/"
    read = next((file for file in inputs if file.startswith(below)), None)
    if read is not None:
        raise InvalidArgument(
            f"the output {place.url} has files that are read, such as {read}; "
            "choose another folder for the output"
        )
    _check_mode(spec, place, own=())
    place.check_writable(f"{FOLDER}writable-{new_id()}")


def publish(
    spec: OutputSpec, place: OutputPlace, facts: JobFacts, results: Sequence[PartitionResult]
) -> Manifest:
    """Makes the files of all partitions visible, and says what there is now. May be repeated.

    Raises Conflict as `check_output` does, Unprocessable when a file is gone or has another size,
    and whatever the place raises; then nothing is lost, and it may be tried again.
    """
    found = find_manifest(place, facts.job)
    if found is None:
        files = [file for result in results for file in result.files]
        waiting = _waiting(place, facts.job, files)
        _replace(spec, place, facts.job, files)
        place.rename([(file.staged, file.name) for file in waiting])
        found = manifest_of(facts, results)
        place.put(manifest_name(facts.job), encoded(found))
    sweep(place, facts.job)
    return found


def sweep(place: OutputPlace, job: str) -> None:
    """Removes what waits of a job. What is visible stays."""
    place.delete([file.name for file in place.list(job_folder(job))])


def find_manifest(place: OutputPlace, job: str) -> Manifest | None:
    """None as long as the job is not published."""
    name = manifest_name(job)
    try:
        return decoded(place.read(name), name)
    except NotFound:
        return None


def _waiting(place: OutputPlace, job: str, files: Sequence[WrittenFile]) -> list[WrittenFile]:
    """Those that have no name yet that readers see. Raises Unprocessable unless all are whole."""
    staged = {file.name: file.size_bytes for file in place.list(job_folder(job))}
    for file in files:
        size = staged[file.staged] if file.staged in staged else place.size(file.name)
        if size != file.size_bytes:
            raise Unprocessable(
                f"{place.url}/{file.staged} {'is gone' if size is None else 'was changed'} before "
                "it became visible; see that nobody else writes there, and submit the job again"
            )
    return [file for file in files if file.staged in staged]


def _replace(spec: OutputSpec, place: OutputPlace, job: str, files: Sequence[WrittenFile]) -> None:
    """Removes what stands in the way of the job's files.

    What that is stands in a note before the first is removed: when this is done again later, what
    other jobs have published meanwhile is not touched.
    """
    if spec.mode == "append":
        return
    note = f"{job_folder(job)}replaced.json"
    try:
        replaced = msgspec.json.decode(place.read(note), type=list[str])
    except NotFound:
        own = {file.name for file in files} | {manifest_name(job)}
        _check_mode(spec, place, own)
        replaced = sorted(set(_published(place)) - own) if spec.mode == "overwrite" else []
        place.put(note, msgspec.json.encode(replaced))
    place.delete(replaced)


def _check_mode(spec: OutputSpec, place: OutputPlace, own: Collection[str]) -> None:
    if spec.mode == "append":
        return
    known = {*own, *(_published(place) if spec.mode == "overwrite" else ())}
    for file in place.list():
        if file.name in known or not _matters(spec, file.name):
            continue
        if spec.mode == "fail":
            raise Conflict(
                f"the output {place.url} is not empty, it has '{file.name}'; choose another "
                "folder, or the mode 'append' or 'overwrite'"
            )
        raise Conflict(
            f"the output {place.url} has '{file.name}', which no job has written; 'overwrite' "
            "removes what jobs have written and nothing else; move it away, or choose another "
            "folder"
        )


def _matters(spec: OutputSpec, name: str) -> bool:
    """Whether it stands in the way; what another job has left unfinished does not."""
    if is_visible(name):
        return True
    return spec.mode == "fail" and (name.startswith(REJECTED) or is_manifest(name))


def _published(place: OutputPlace) -> Iterator[str]:
    """All that jobs have published, and their manifests."""
    for file in place.list(FOLDER):
        if is_manifest(file.name):
            manifest = decoded(place.read(file.name), file.name)
            yield file.name
            yield from (one.name for one in manifest.files + manifest.rejected_files)
