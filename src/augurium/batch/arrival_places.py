"""Where files arrive for schedules: folders of this machine and object stores."""

from collections.abc import Callable, Sequence

from augurium.batch.storage import Storage
from augurium.registry.batch_schedule_records import ArrivedFile


class ArrivalPlaces:
    """Lists as a job would; `storage` is asked for with every listing, and may be refused."""

    def __init__(self, storage: Callable[[], Storage]) -> None:
        self._storage = storage

    def files(self, path: str) -> Sequence[ArrivedFile]:
        """The files of a folder or a glob; none where there is nothing yet."""
        # loaded with the first schedule on arrival: most starts of the process see none
        from augurium.batch.discovery import listed

        return [ArrivedFile(file.location, file.identity) for file in listed(path, self._storage())]

    def has(self, location: str) -> bool:
        """Whether there is a file."""
        return self._storage().find(location) is not None
