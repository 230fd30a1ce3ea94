"""Files of the input that are not what they were when the job was planned."""

from augurium.batch.partition import Fragment
from augurium.batch.storage import Storage
from augurium.batch.stored_file import StoredFile
from augurium.core.errors import Conflict


class InputChanged(Conflict):
    """A file was replaced, changed or removed: what was scored and what is left do not belong
    together.
    """


def same_file(fragment: Fragment, storage: Storage) -> StoredFile:
    """The file of a fragment. Raises InputChanged if it is another than was planned."""
    found = storage.find(fragment.file)
    if found is None:
        raise InputChanged(f"input_changed: {fragment.file} is gone; submit the job again")
    if found.identity != fragment.identity:
        raise InputChanged(
            f"input_changed: {fragment.file} was changed after the job was planned; submit the job"
            " again"
        )
    return found
