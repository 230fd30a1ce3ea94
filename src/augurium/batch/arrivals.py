"""Which of the files that a listing found have arrived: a pure function of two listings."""

from collections.abc import Collection, Mapping, Sequence

from augurium.registry.batch_schedule_records import ArrivedFile

# what one job gets, at most; its description has to stay below what the registry takes
MOST_FILES = 5000
MOST_LOCATION_BYTES = 400_000


def arrived(
    found: Collection[ArrivedFile],
    before: Mapping[str, str],
    marked: Collection[str] | None = None,
) -> list[ArrivedFile]:
    """Files that nobody writes any more, by location.

    `before` gives the identity by location of those of the listing before: a file that has the same
    one is complete. With `marked`, the folders that have a marker, one in such a folder is.
    """
    complete = [
        file
        for file in found
        if (
            before.get(file.location) == file.identity
            if marked is None
            else folder_of(file) in marked
        )
    ]
    return sorted(complete)


def share_of_one_job(files: Sequence[ArrivedFile]) -> list[ArrivedFile]:
    """As many of the first files as one job can be told of."""
    taken: list[ArrivedFile] = []
    size = 0
    for file in files[:MOST_FILES]:
        size += len(file.location.encode())
        if size > MOST_LOCATION_BYTES:
            break
        taken.append(file)
    return taken


def folder_of(file: ArrivedFile) -> str:
    """The folder that a file is in."""
    return file.location.rpartition("/")[0]
